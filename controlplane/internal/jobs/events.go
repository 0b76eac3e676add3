package jobs

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/shared/jobkey"
	"github.com/ergon-hpc/ergon/shared/mask"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// Report is one event as an agent sends it.
type Report struct {
	EventID  uuid.UUID
	JobID    uuid.UUID
	Seq      int64
	Type     string
	At       time.Time
	Message  string
	Manifest []byte // a JSON list
	// Told says that the job's wrapper spoke to the agent that reports.
	Told bool
	Job  Snapshot
}

// Outcome is what became of an event.
type Outcome struct {
	EventID uuid.UUID
	Status  Status
	Detail  string // for the agent's operator; set when refused
}

// Status is a word of the contract's EventResult.
type Status string

// The outcomes. Held: another agent reports the job; nothing is wrong with the event, and it may be offered again.
const (
	Accepted  Status = "accepted"
	Duplicate Status = "duplicate"
	Refused   Status = "refused"
	Held      Status = "held"
)

// Events applies events in the order sent and says of each what became of it. An event that was stored before is a
// duplicate, whatever it says now.
func (s *Service) Events(ctx context.Context, who Reporter, cluster Cluster, reports []Report) ([]Outcome, error) {
	want := Want{ClusterID: cluster.ID}
	for _, r := range reports {
		want.Events = append(want.Events, r.EventID)
		want.IDs = append(want.IDs, r.JobID)
		if r.Job.JobIDRaw != "" {
			want.Raws = append(want.Raws, r.Job.JobIDRaw)
		}
	}
	var out []Outcome
	err := s.books.Edit(ctx, want, func(b *Book) ([]*Entry, error) {
		b.open(who, cluster.Name, s.now())
		b.intake = s.intake
		if err := b.learn(want.Raws, want.IDs); err != nil {
			return nil, err
		}
		out = make([]Outcome, 0, len(reports))
		for _, r := range reports {
			out = append(out, b.report(r, cluster.ID))
		}
		changed := b.close()
		for _, e := range changed {
			s.mark(e, false)
		}
		return changed, nil
	})
	if err != nil {
		return nil, err
	}
	s.hint(ctx)
	return out, nil
}

func (b *Book) report(r Report, clusterID string) Outcome {
	if b.Seen[r.EventID] {
		return Outcome{EventID: r.EventID, Status: Duplicate}
	}
	if detail := b.refusal(r); detail != "" {
		return Outcome{EventID: r.EventID, Status: Refused, Detail: detail}
	}
	e := b.reported(r)
	if e == nil {
		e = b.create(r.JobID, clusterID, r.Job.JobIDRaw)
		e.Job.SubmissionID = r.Job.SubmissionID
	}
	if !b.who.mayTouch(e.Job) {
		return Outcome{EventID: r.EventID, Status: Refused, Detail: "the job belongs to another account; a site with a system agent links accounts with `ergon link`"}
	}
	if !b.claim(r) {
		return Outcome{EventID: r.EventID, Status: Held, Detail: "another agent of this cluster reports the job"}
	}
	b.vouch(e)
	b.apply(e, r)
	return Outcome{EventID: r.EventID, Status: Accepted}
}

// refusal says why an event cannot be taken, in words for the agent's operator.
func (b *Book) refusal(r Report) string {
	if b.who.Owner != nil && r.Job.UID != *b.who.UID {
		return fmt.Sprintf("this agent speaks for uid %d, the event is about uid %d", *b.who.UID, r.Job.UID)
	}
	if b.stranger(&r.Job.UID, r.Job.UnixUser) {
		return "the site takes jobs of people with an account only; `ergon link` makes one theirs"
	}
	if b.Objected[r.Job.UID] && b.who.Owner == nil && !b.linked(r.Job.UID, r.Job.UnixUser) {
		return "the person objected to being named"
	}
	if r.Job.Submit <= 0 || r.Job.Submit > latestMoment || r.At.Unix() <= 0 || r.At.Unix() > latestMoment {
		return "the event's times are not those of a real job"
	}
	if e := b.byID[r.JobID]; e != nil && e.Job.ClusterID != "" && e.Job.ClusterID != b.clusterID() {
		return "the job belongs to another cluster"
	}
	if e := b.byID[r.JobID]; (e == nil || len(e.Runs)+len(e.Snapshots) == 0) && b.endedInSums(r.Job.End) {
		return "the job ended in a time of which the server keeps only sums"
	}
	if b.byID[r.JobID] == nil && !b.follows(r) {
		return "job_id does not follow from the submission, nor from cluster, job_id_raw and submit time"
	}
	return ""
}

// follows checks that the id is the one that every party computes (package jobkey), so that nobody can take a name that
// another job will need. The submit time of a later attempt is not the one that the id was made of: of a job without a tag
// only an agent that serves all users is believed then, since a user's own could take any name.
func (b *Book) follows(r Report) bool {
	suffix := ""
	if id, err := slurmfmt.ParseJobID(r.Job.SlurmJobID); err == nil {
		suffix = identOfID(id.Job()).suffix
	}
	if r.Job.SubmissionID != nil {
		return r.JobID == jobkey.Tagged(*r.Job.SubmissionID, suffix) || r.JobID == jobkey.Tagged(*r.Job.SubmissionID, "")
	}
	return r.Job.Attempt > 0 && b.who.Owner == nil || r.JobID == jobkey.Untagged(b.cluster, r.Job.JobIDRaw, r.Job.Submit)
}

// reported finds the job of an event: by its id, else by its number where accounting told of it first, without the tag.
func (b *Book) reported(r Report) *Entry {
	if e := b.byID[r.JobID]; e != nil {
		return e
	}
	for _, e := range b.byRaw[r.Job.JobIDRaw] {
		if e.Job.SubmissionID != nil || !b.who.mayTouch(e.Job) || b.who.Owner == nil && e.Job.SelfAsserted {
			continue
		}
		for _, run := range e.Runs {
			if abs(run.Facts.Submit-r.Job.Submit) <= requeueSlack && (run.Facts.UID == nil || *run.Facts.UID == r.Job.UID) {
				b.rename(e, r.JobID)
				return e
			}
		}
	}
	return nil
}

func (b *Book) apply(e *Entry, r Report) {
	snap := r.Job
	snap.Seq, snap.StateSeq = r.Seq, r.Seq
	snap.SlurmState = strings.ToUpper(clean(snap.SlurmState, 64))
	for _, p := range []*string{&snap.SlurmJobID, &snap.JobIDRaw, &snap.UnixUser, &snap.Name, &snap.Account, &snap.Partition, &snap.QOS, &snap.Reason, &snap.NodeList} {
		*p = clean(*p, 4096)
	}
	b.intake.cleanSnapshot(&snap)
	e.snapshot(snap.Attempt, snap)
	if e.Job.JobIDRaw == "" && snap.JobIDRaw != "" {
		e.Job.JobIDRaw = snap.JobIDRaw
		b.byRaw[snap.JobIDRaw] = append(b.byRaw[snap.JobIDRaw], e)
	}
	if e.Job.SubmissionID == nil {
		e.Job.SubmissionID = snap.SubmissionID
	}
	e.Job.EventSeq = max(e.Job.EventSeq, r.Seq)
	e.Events = append(e.Events, Event{
		ID: r.EventID, AgentID: b.who.AgentID, Seq: r.Seq, Type: r.Type, State: slurmfmt.APIState(snap.State), SlurmState: snap.SlurmState,
		Message: mask.Text(clean(r.Message, 4096)), Manifest: r.Manifest, At: r.At, ReceivedAt: b.now,
	})
	e.changed = true
	b.Seen[r.EventID] = true
}

func (b *Book) clusterID() string { return b.who.ClusterID }
