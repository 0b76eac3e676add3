package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/analytics"
	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs/dump"
	"github.com/ergon-hpc/ergon/shared/jobkey"
)

// objecting is a history of alice (uid 7) and bob (uid 8): jobs first to last, with steps.
func objecting(first, last int) string {
	var b strings.Builder
	b.WriteString("JobID|JobName|UID|User|Group|Account|State|Submit|Start|End|ElapsedRaw|AllocCPUS|NNodes|NodeList|Comment|SubmitLine|WorkDir\n")
	for id := first; id <= last; id++ {
		user, uid := []string{"bob", "alice"}[id%2], 8-id%2
		start := 1704067200 + 1000*id
		fmt.Fprintf(&b, "%d|%swork|%d|%s|%sgroup|phys|COMPLETED|%d|%d|%d|100|4|1|n1|of %s|sbatch -n 4 %s.sh|/home/%s\n", id, user, uid, user, user, start, start, start+100, user, user, user)
		fmt.Fprintf(&b, "%d.0|%sstep||||phys|COMPLETED||%d|%d|100|4|1|n1||srun %s.out|\n", id, user, start, start+100, user)
	}
	return b.String()
}

func imported(t *testing.T, g *gormstore.Jobs, text string) dump.Counts {
	t.Helper()
	im := dump.New(jobs.New(g, g, time.Now, nil), g, dump.Options{Cluster: "c", Reject: func(r dump.Rejected) error { return fmt.Errorf("%+v", r) }})
	if err := im.File(context.Background(), "f", strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	return im.Counts()
}

// dumped is all text about jobs that the database holds.
func dumped(t *testing.T, s *gormstore.Store) (text string) {
	t.Helper()
	for _, query := range []string{
		"SELECT fields FROM accounting_rows", "SELECT unix_user || name || COALESCE(CAST(uid AS TEXT), '') || COALESCE(submission_id, '') FROM jobs",
		"SELECT snapshot FROM job_snapshots", "SELECT message FROM job_events", "SELECT report FROM reports",
	} {
		rows, err := s.SQL().QueryContext(context.Background(), query)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var one string
			if err := rows.Scan(&one); err != nil {
				t.Fatal(err)
			}
			text += one + "\n"
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return text
}

func total(t *testing.T, g *gormstore.Jobs) string {
	t.Helper()
	groups, err := analytics.Usage(context.Background(), g, analytics.Query{By: "account"})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%+v", groups)
}

// dyingHider is killed after some pages of two jobs.
type dyingHider struct {
	jobs.Objections
	pages int
}

var errKilled = errors.New("killed")

func (d *dyingHider) HideObjected(ctx context.Context, now time.Time, _ int) (int, error) {
	if d.pages--; d.pages < 0 {
		return 0, errKilled
	}
	return d.Objections.HideObjected(ctx, now, 2)
}

func TestWhoObjectsIsTakenOutOfJobsAndStaysOut(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		g, ctx := gormstore.NewJobs(s), context.Background()
		imported(t, g, objecting(1, 10))
		c, _, err := g.ClusterByName(ctx, "c", false)
		if err != nil {
			t.Fatal(err)
		}
		told(t, g, c, 7, "alice", "21")
		before := total(t, g)
		if err := g.Object(ctx, c.ID, 7, time.Now()); err != nil {
			t.Fatal(err)
		}
		for pages := range 10 {
			_, err := jobs.Hide(ctx, &dyingHider{g, pages}, time.Now())
			if total(t, g) != before {
				t.Fatalf("after %d pages: %s, was %s", pages, total(t, g), before)
			}
			if err == nil {
				break
			}
		}
		clean := func(where string) {
			t.Helper()
			text := dumped(t, s)
			if strings.Contains(text, "alice") || strings.Contains(text, `"UID":"7"`) || strings.Contains(text, submission) {
				t.Fatalf("%s: %s", where, text)
			}
			if !strings.Contains(text, "bobwork") || !strings.Contains(text, "bob.sh") {
				t.Fatalf("%s bob is gone too: %s", where, text)
			}
		}
		clean("after the pass")
		if c := imported(t, g, objecting(1, 10)); c.Stored != 0 || c.Unchanged != c.Rows {
			t.Errorf("what was stored comes again: %+v", c)
		}
		if c := imported(t, g, objecting(1, 14)); c.Stored != 8 {
			t.Errorf("new jobs: %+v", c)
		}
		clean("after imports")
		if out := told(t, g, c, 7, "alice", "23"); out.Status != jobs.Refused || !strings.Contains(out.Detail, "objected") {
			t.Errorf("%+v", out)
		}
		clean("after an event")
		if n, err := jobs.Hide(ctx, g, time.Now()); n != 0 || err != nil {
			t.Errorf("a second pass has work: %d, %v", n, err)
		}
		if had, err := g.Unobject(ctx, c.ID, 7); !had || err != nil {
			t.Errorf("%v, %v", had, err)
		}
		if c := imported(t, g, objecting(15, 15)); c.Stored != 2 || !strings.Contains(dumped(t, s), "alicework") {
			t.Errorf("after the objection was taken back: %+v", c)
		}
	})
}

// told is an event of the agent about a job that waits.
func told(t *testing.T, g *gormstore.Jobs, c jobs.Cluster, uid int64, user, number string) jobs.Outcome {
	t.Helper()
	const submit = 1704067200
	out, err := jobs.New(g, g, time.Now, nil).Events(context.Background(), jobs.Reporter{ClusterID: c.ID, Everyone: true}, c, []jobs.Report{{
		EventID: uuid.New(), JobID: jobkey.Untagged("c", number, submit), Type: "state", At: time.Unix(submit, 0), Message: "of " + user,
		Job: jobs.Snapshot{SlurmJobID: number, JobIDRaw: number, UID: uid, UnixUser: user, Name: user + "work", State: "pending", SlurmState: "PENDING", Submit: submit},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return out[0]
}

func TestWhoHasAnAccountIsToldToUseIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		g, ctx := gormstore.NewJobs(s), context.Background()
		imported(t, g, objecting(1, 2))
		c, _, err := g.ClusterByName(ctx, "c", false)
		if err != nil {
			t.Fatal(err)
		}
		linkAlice(t, s, 7)
		if err := g.Object(ctx, c.ID, 7, time.Now()); !apperr.Is(err, apperr.Conflict) {
			t.Errorf("%v", err)
		}
		list, err := g.ListObjections(ctx)
		if err != nil || len(list) != 0 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// unsaid is a history as slurmdbd shows it of short jobs at first, and as it shows the same jobs a moment later.
func unsaid(first, last int, tag string) (early, late string) {
	late = strings.ReplaceAll(objecting(first, last), "|of alice|", "|"+tag+"|")
	var b strings.Builder
	for line := range strings.Lines(late) {
		for user, uid := range map[string]string{"alice": "7", "bob": "8"} {
			line = strings.Replace(line, "|"+user+"work|"+uid+"|"+user+"|", "|allocation|0|"+user+"|", 1)
		}
		b.WriteString(line)
	}
	return b.String(), late
}

func TestARowWithoutItsNumberYetNamesNobodyWhoObjected(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		g, ctx := gormstore.NewJobs(s), context.Background()
		tagged, err := jobkey.NewSubmission()
		if err != nil {
			t.Fatal(err)
		}
		early, late := unsaid(1, 2, jobkey.Tag(tagged, ""))
		imported(t, g, early) // named, because nobody has objected yet
		c, _, err := g.ClusterByName(ctx, "c", false)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Object(ctx, c.ID, 7, time.Now()); err != nil {
			t.Fatal(err)
		}
		clean := func(when string) {
			t.Helper()
			if text := dumped(t, s); strings.Contains(text, "alice") || strings.Contains(text, tagged.String()) {
				t.Errorf("%s: %s", when, text)
			}
		}
		imported(t, g, late)
		clean("what was stored before the objection, after the number was said")
		early, late = unsaid(3, 4, jobkey.Tag(tagged, "other"))
		imported(t, g, early)
		clean("before the number is said")
		imported(t, g, late)
		clean("after it was said")
		if text := dumped(t, s); strings.Count(text, `"JobName":"bobwork"`) != 2 || strings.Contains(text, "allocation") && strings.Contains(text, `"UID":"0"`) {
			t.Errorf("bob, who did not object: %s", text)
		}
		if n, err := jobs.Hide(ctx, g, time.Now()); n != 0 || err != nil {
			t.Errorf("the task has work: %d, %v", n, err)
		}
	})
}

// The account that a name is linked to decides, also before the number is said.
func TestARowWithoutItsNumberYetIsTheLinkedAccounts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		g, ctx := gormstore.NewJobs(s), context.Background()
		c, _, err := g.ClusterByName(ctx, "c", true)
		if err == nil {
			err = g.Object(ctx, c.ID, 8, time.Now())
		}
		if err != nil {
			t.Fatal(err)
		}
		linkAlice(t, s, 7)
		early, late := unsaid(1, 2, "")
		for _, text := range []string{early, late} {
			imported(t, g, text)
			if text := dumped(t, s); !strings.Contains(text, "alice") || strings.Contains(text, "bob") {
				t.Errorf("%s", text)
			}
		}
	})
}
