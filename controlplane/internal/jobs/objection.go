package jobs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/shared/mask"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// Objection is a unix user's wish not to be named.
type Objection struct {
	Cluster string
	UID     int64
	Since   time.Time
}

// Objections is the store as objections need it.
type Objections interface {
	// Object records an objection; one that stands changes nothing. It is a conflict where the uid is linked to an account.
	Object(ctx context.Context, clusterID string, uid int64, now time.Time) error
	// Unobject takes one back and says whether there was one. What was left out before does not come back by itself.
	Unobject(ctx context.Context, clusterID string, uid int64) (bool, error)
	ListObjections(ctx context.Context) ([]Objection, error)
	// Standing tells how a uid stands.
	Standing(ctx context.Context, clusterID string, uid int64) (Standing, error)
	// HideObjected takes people who objected out of at most limit stored jobs, in one transaction, and says how many it were.
	HideObjected(ctx context.Context, now time.Time, limit int) (int, error)
}

// hidePage bounds a transaction in jobs.
const hidePage = 200

// Hide takes people who objected out of all stored jobs, page by page. It may be killed and repeated.
func Hide(ctx context.Context, o Objections, now time.Time) (sum int, err error) {
	for {
		n, err := o.HideObjected(ctx, now, hidePage)
		if sum += n; err != nil {
			return sum, fmt.Errorf("taking people who objected out of jobs: %w", err)
		}
		if n == 0 {
			return sum, nil
		}
	}
}

// ErrLinked is why a person with an account does not object.
func ErrLinked(uid int64) error {
	return apperr.Newf(apperr.Conflict, "uid %d is linked to an account, whose owner decides", uid).
		WithHint("its owner exports with `ergon account export`, deletes with `ergon account delete`, or unlinks with `ergon unlink` first")
}

// naming are columns that say whose a job is, or hold what its owner wrote.
var naming = []string{
	"User", "UID", "Group", "GID", "JobName", "Comment", "SystemComment", "WorkDir", "StdIn", "StdOut", "StdErr", "Extra", "Container", "WCKey", "Command",
}

// HideFields gives a stored row without its owner, and its digest. Of an AdminComment only the numbers of jobstats stay.
func HideFields(fields []byte) (hidden []byte, digest string, err error) {
	names, values, err := columnsOf(fields)
	if err != nil {
		return nil, "", err
	}
	names = slices.DeleteFunc(names, func(n string) bool {
		return slices.Contains(naming, n) || n == "AdminComment" && !strings.HasPrefix(values[n], "JS1:")
	})
	cells := make([]string, len(names))
	for i, n := range names {
		if cells[i] = values[n]; n == "SubmitLine" {
			cells[i] = mask.Options(values[n])
		}
	}
	hidden = encode(slurmfmt.NewRecord(slurmfmt.NewColumns(names...), cells, nil))
	return hidden, digestOf(hidden), nil
}

// objected says that the owner of an incarnation objected and has no account. A step whose job's row came earlier and names
// nobody is treated as that job was. Where the number is not said yet it may be one that objected: the row that says it is joined
// to what is kept now, and brings the name of whoever did not.
func (b *Book) objected(u *bundle) bool {
	if len(b.Objected) == 0 || b.who.Owner != nil {
		return false
	}
	if u.facts.UID == nil {
		_, known := b.Names[u.facts.User]
		return u.orphan && u.facts.User == "" || u.facts.Unsaid && !known
	}
	return b.Objected[*u.facts.UID] && !b.linked(*u.facts.UID, u.facts.User)
}

func (b *Book) linked(uid int64, name string) bool {
	l, ok := b.Links[uid]
	return ok && l.UnixName == name
}

// hide takes the owner out of an incarnation. The tag goes too: it leads to what the wrapper told of the submission.
func (u *bundle) hide() error {
	u.tag, u.facts.User, u.facts.UID, u.facts.Name = nil, "", nil, ""
	for i, r := range u.rows {
		fields, digest, err := HideFields(r.Fields)
		if err != nil {
			return err
		}
		u.rows[i].Fields, u.rows[i].Digest = fields, digest
	}
	return nil
}

// names says that a stored job of no account names somebody.
func (e *Entry) names() bool {
	j := e.Job
	return e.Stored && j.UserID == nil && (j.UID != nil || j.UnixUser != "" || j.SubmissionID != nil)
}

// strip takes the person out of a job that was stored before it was known that its owner objected: all rows are written anew, and
// what agents told of it is forgotten.
func (b *Book) strip(e *Entry) error {
	var ids []uuid.UUID
	for _, r := range e.Runs {
		if r.Origin != nil {
			ids = append(ids, r.Origin.JobID)
		}
	}
	content, err := b.Content(ids)
	if err != nil {
		return err
	}
	for _, r := range e.Runs {
		if err := r.strip(content); err != nil {
			return err
		}
	}
	e.Job.SubmissionID, e.Snapshots, e.newSnapshots, e.Events = nil, nil, nil, nil
	e.Reset, e.changed, e.accountingNew = true, true, true
	return nil
}

func (r *Run) strip(content map[Place][]byte) error {
	for step, s := range r.Stamps {
		fields := r.News[step].Fields
		if fields == nil && r.Origin != nil {
			fields = content[Place{*r.Origin, step}]
		}
		hidden, digest, err := HideFields(fields)
		if err != nil {
			return err
		}
		r.Stamps[step], r.News[step] = Stamp{digest, s.Weight}, Row{Step: step, Digest: digest, Weight: s.Weight, Fields: hidden}
		if r.old[step] != nil {
			r.old[step] = hidden
		}
		if step != "" {
			continue
		}
		if err := r.read(hidden); err != nil {
			return err
		}
	}
	return nil
}
