package jobkey

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

var submission = uuid.MustParse("01939f2e-7b1a-7c3d-9e4f-0123456789ab")

func TestTagRoundTripsTheUsersOwnComment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		own := rapid.String().Draw(t, "own")
		id, back, err := ParseTag(Tag(submission, own))
		if err != nil || id != submission || back != own {
			t.Fatalf("got %v %q %v", id, back, err)
		}
	})
}

func TestParseTagRefusesWhatIsNotATag(t *testing.T) {
	for _, text := range []string{
		"", "ergon1:", "ergon1:nonsense", "ergon2:" + submission.String(), " ergon1:" + submission.String(),
		"ergon1:" + submission.String() + "x", "ergon1:" + strings.ToUpper(submission.String()),
	} {
		if _, _, err := ParseTag(text); !errors.Is(err, ErrNoTag) {
			t.Errorf("%q: got %v, want ErrNoTag", text, err)
		}
	}
}

func TestFindTagFallsBackToTheSubmitLine(t *testing.T) {
	line := "sbatch --comment=hello --comment=ergon1:" + submission.String() + "|my words job.sh"
	id, err := FindTag("", line)
	if err != nil || id != submission {
		t.Fatalf("got %v %v", id, err)
	}
	if _, err := FindTag("", "sbatch --comment=ergon1:short"); !errors.Is(err, ErrNoTag) {
		t.Fatalf("got %v, want ErrNoTag", err)
	}
	if _, err := FindTag("note", "sbatch job.sh"); !errors.Is(err, ErrNoTag) {
		t.Fatalf("got %v, want ErrNoTag", err)
	}
}

func TestIdsDifferWhereJobsDiffer(t *testing.T) {
	ids := map[uuid.UUID]string{}
	add := func(name string, id uuid.UUID) {
		if other, taken := ids[id]; taken {
			t.Errorf("%s and %s have the same id", name, other)
		}
		ids[id] = name
	}
	add("plain", Tagged(submission, ""))
	add("task 1", Tagged(submission, "_1"))
	add("task 11", Tagged(submission, "_11"))
	add("component", Tagged(submission, "+1"))
	add("untagged", Untagged("lab", "12", 1700000000))
	add("reused id", Untagged("lab", "12", 1700000001))
	add("other cluster", Untagged("lab2", "12", 1700000000))
	add("shifted text", Untagged("lab/1", "2", 1700000000))
}

func TestIdsAreStableForEver(t *testing.T) {
	if got := Tagged(submission, "_4").String(); got != "03ebf272-a117-5973-9078-64bce040ca27" {
		t.Errorf("tagged id changed: %s", got)
	}
	if got := Untagged("lab", "12", 1700000000).String(); got != "dcf6a581-66dc-50e0-857b-d47e02f76317" {
		t.Errorf("untagged id changed: %s", got)
	}
}
