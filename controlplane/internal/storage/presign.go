package storage

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

// Request is a user's wish to upload a file of their own.
type Request struct {
	Name        string
	SizeBytes   int64
	SHA256      Digest
	ContentType string    // empty: application/octet-stream
	Class       Class     // upload or input; empty: upload
	Made        uuid.UUID // the upload that this same request made before: it is answered again, with a fresh URL; zero: none
}

// Entry is an agent's wish to upload one output of a job.
type Entry struct {
	Path        string // relative to the directory that it was collected from
	Class       Class  // any but upload
	SizeBytes   int64
	SHA256      Digest
	ContentType string
}

// PresignUpload reserves and presigns one file of a user. Asked again for the same name, size and digest while that upload
// is not finished, it gives the same upload, so that a client which lost its memory can resume. Over quota it fails.
func (s *Service) PresignUpload(ctx context.Context, userID string, r Request) (Ticket, error) {
	if r.Made != uuid.Nil {
		return s.presignAgain(ctx, userID, r.Made)
	}
	draft, err := s.userDraft(userID, r)
	if err != nil {
		return Ticket{}, err
	}
	tickets, err := s.reserve(ctx, userID, []Draft{draft})
	if err != nil {
		return Ticket{}, err
	}
	if refused := tickets[0].Refused; refused != nil {
		return Ticket{}, refused
	}
	return tickets[0], nil
}

// presignAgain gives the ticket of an upload that was reserved before: a fresh URL, or the object when it is stored.
func (s *Service) presignAgain(ctx context.Context, userID string, id uuid.UUID) (Ticket, error) {
	u, err := s.uploadOf(ctx, Caller{UserID: userID}, id)
	if err != nil {
		return Ticket{}, err
	}
	switch u.Status {
	case Stored:
		o, err := s.Get(ctx, userID, id)
		return Ticket{Name: u.Name, Object: &o}, err
	case Reserved:
		return s.ticket(ctx, u.Name, Reservation{Upload: &u})
	case Aborted, Expired:
	}
	return Ticket{}, apperr.New(apperr.UploadExpired, "this upload was given up or has expired").WithHint("ask for a new one with a new Idempotency-Key")
}

func (s *Service) userDraft(userID string, r Request) (Draft, error) {
	if r.Class == "" {
		r.Class = ClassUpload
	}
	if r.Class != ClassUpload && r.Class != ClassInput {
		return Draft{}, invalid("class", "a file of your own is an upload or an input")
	}
	if err := checkName(r.Name); err != nil {
		return Draft{}, err
	}
	u, err := s.upload(userID, r.Name, r.SizeBytes, r.SHA256, r.ContentType)
	if err != nil {
		return Draft{}, err
	}
	u.Class = r.Class
	return Draft{Upload: u, PlainKey: userKey(userID, u.ID, r.Name)}, nil
}

// upload fills what every new upload has.
func (s *Service) upload(userID, name string, size int64, sum Digest, media string) (Upload, error) {
	if err := checkSize(size); err != nil {
		return Upload{}, err
	}
	media, err := contentType(media)
	if err != nil {
		return Upload{}, err
	}
	now := s.Now()
	plan := PlanFor(size)
	u := Upload{
		ID: s.NewID(), UserID: userID, Name: name, SizeBytes: size, SHA256: sum, ContentType: media, Plan: plan,
		Status: Reserved, CreatedAt: now, ExpiresAt: s.expiry(plan, now),
	}
	if !plan.Multipart() {
		u.StoreChecksum = sum.Checksum()
	}
	return u, nil
}

func (s *Service) expiry(p Plan, now time.Time) time.Time {
	if p.Multipart() {
		return now.Add(s.MultipartIdle)
	}
	return now.Add(s.URLLifetime)
}

// PresignJob reserves and presigns outputs of one attempt of a job, for an agent that may act for its owner. There is one
// ticket for each entry, in order; a bad entry or one over quota is refused in its ticket and does not stop the others.
// Asked again for the same entry it gives a fresh URL for the same upload, or says that it is stored.
func (s *Service) PresignJob(ctx context.Context, agent Agent, job JobRef, entries []Entry) ([]Ticket, error) {
	owner, err := s.authorise(ctx, agent, job.ID)
	if err != nil {
		return nil, err
	}
	tickets := make([]Ticket, len(entries))
	var drafts []Draft
	var at []int
	first := map[identity]int{} // an entry that is sent twice in a call shares its ticket
	same := map[int]int{}
	for i, e := range entries {
		d, err := s.jobDraft(owner, agent.ID, job, e)
		if err != nil {
			tickets[i] = Ticket{Name: e.Path, Refused: asError(err)}
			continue
		}
		if j, seen := first[identityOf(d.Upload)]; seen {
			same[i] = j
			continue
		}
		first[identityOf(d.Upload)] = i
		drafts, at = append(drafts, d), append(at, i)
	}
	answers, err := s.reserve(ctx, owner, drafts)
	if err != nil {
		return nil, err
	}
	for n, t := range answers {
		tickets[at[n]] = t
	}
	for i, j := range same {
		tickets[i] = tickets[j]
	}
	return tickets, nil
}

// identity is what makes two entries of one attempt the same upload.
type identity struct {
	class Class
	name  string
	size  int64
	sum   Digest
}

func identityOf(u Upload) identity { return identity{u.Class, u.Name, u.SizeBytes, u.SHA256} }

func asError(err error) *apperr.Error {
	if e, ok := err.(*apperr.Error); ok { //nolint:errorlint // ours, never wrapped
		return e
	}
	return apperr.Wrap(apperr.Internal, "", err)
}

func (s *Service) jobDraft(userID, agentID string, job JobRef, e Entry) (Draft, error) {
	switch e.Class {
	case ClassInput, ClassOutput, ClassProfile, ClassStdout, ClassStderr:
	default:
		return Draft{}, invalid("class", "an output of a job is an output, profile, stdout, stderr or input")
	}
	path, err := checkPath(e.Path)
	if err != nil {
		return Draft{}, err
	}
	u, err := s.upload(userID, path.String(), e.SizeBytes, e.SHA256, e.ContentType)
	if err != nil {
		return Draft{}, err
	}
	u.AgentID, u.Job, u.Class = agentID, &job, e.Class
	plain, spare := jobKeys(userID, job, e.Class, path, u.ID)
	return Draft{Upload: u, PlainKey: plain, SpareKey: spare}, nil
}

func (s *Service) reserve(ctx context.Context, userID string, drafts []Draft) ([]Ticket, error) {
	if len(drafts) == 0 {
		return nil, nil
	}
	got, err := s.reservations(ctx, userID, drafts)
	if err != nil {
		return nil, err
	}
	return s.tickets(ctx, drafts, got)
}

// signTogether is how many drafts a goroutine signs at least: a signature costs tens of microseconds, so that fewer are not worth one.
const signTogether = 32

// tickets answers each draft, on all processors: signing is the larger half of a batch.
func (s *Service) tickets(ctx context.Context, drafts []Draft, got []Reservation) ([]Ticket, error) {
	tickets := make([]Ticket, len(drafts))
	share := max(signTogether, (len(drafts)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
	var g errgroup.Group
	for from := 0; from < len(drafts); from += share {
		g.Go(func() (err error) {
			for i := from; i < min(from+share, len(drafts)); i++ {
				if tickets[i], err = s.ticket(ctx, drafts[i].Upload.Name, got[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return tickets, nil
}

// reservations asks the ledger; there is one answer to each draft.
func (s *Service) reservations(ctx context.Context, userID string, drafts []Draft) ([]Reservation, error) {
	got, err := s.Ledger.Reserve(ctx, userID, Quotas{User: s.Quota, Job: s.JobQuota}, drafts)
	if err == nil && len(got) != len(drafts) {
		err = fmt.Errorf("reserving: %d answers to %d drafts", len(got), len(drafts))
	}
	return got, err
}

func (s *Service) ticket(ctx context.Context, name string, r Reservation) (Ticket, error) {
	switch t := (Ticket{Name: name, Upload: r.Upload, Object: r.Object}); {
	case r.Refused != nil:
		t.Refused = overQuota(r.Refused, r.ByJob)
		return t, nil
	case r.Object != nil:
		t.Object = s.dated(*r.Object)
		return t, nil
	case r.Upload.Plan.Multipart():
		return t, nil
	default:
		u := r.Upload
		put, err := s.Signer.SignPut(ctx, PutOrder{
			Key: u.Key, ContentType: u.ContentType, SizeBytes: u.SizeBytes, SHA256: u.SHA256, Lifetime: s.URLLifetime,
		})
		t.Put = &put
		return t, err
	}
}

func overQuota(q *apperr.Quota, byJob bool) *apperr.Error {
	what, hint := "", "delete files that you do not need, or ask an administrator for a larger quota (ergon-server admin quota set)"
	if byJob {
		what, hint = " for the outputs of one job", "declare fewer outputs, or ask an administrator to raise ERGON_QUOTA_JOB_BYTES and ERGON_QUOTA_JOB_OBJECTS"
	}
	e := apperr.Newf(apperr.QuotaExceeded, "%d more bytes do not fit%s: %d used and %d reserved of %d bytes, %d of %d objects",
		q.NeededBytes, what, q.UsedBytes, q.ReservedBytes, q.LimitBytes, q.UsedObjects, q.LimitObjects).WithHint(hint)
	e.Quota = q
	return e
}

// NewID is Config.NewID for production.
func NewID() uuid.UUID { return uuid.New() }
