package integration

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
	"github.com/ergon-hpc/ergon/shared/api"
)

func (s *stack) recount() storage.Drift {
	s.t.Helper()
	d, err := s.svc.Recount(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

func (s *stack) plant(key, text string) {
	s.t.Helper()
	if err := s.store.Put(context.Background(), key, strings.NewReader(text), int64(len(text)), "text/plain"); err != nil {
		s.t.Fatal(err)
	}
}

func TestRecountOfBooksThatAgreeFindsNothing(t *testing.T) {
	s := newStack(t, nil)
	user := s.user()
	s.put(user, "a", []byte("one"))
	var sent api.UploadTicket
	s.want(http.StatusCreated, user, http.MethodPost, "/files/presign/upload", request("under way", []byte("two")), &sent)
	send(t, *sent.Put, []byte("two"), nil)
	s.plant("_ergon/exports/x/y.zip", "of the platform")
	if d := s.recount(); !d.Clean() || d.Accounts != 1 || d.Listed != 2 {
		t.Errorf("%+v", d)
	}
}

func TestRecountTellsStraysFromUnknownAndLostAndGuessesNothing(t *testing.T) {
	s := newStack(t, nil)
	user, other := s.user(), s.user()
	kept, lost, deleted := s.put(user, "kept", []byte("kept")), s.put(user, "lost", []byte("lost")), s.put(user, "deleted", []byte("deleted"))
	s.put(other, "kept too", []byte("x"))
	s.want(http.StatusNoContent, user, http.MethodDelete, "/files/"+deleted.Id.String(), nil, nil)
	s.sweepAfter(2*time.Hour, storage.Swept{Examined: 4, Closed: 3, Purged: 1})
	s.clock.Store(int64(2 * time.Hour))
	s.plant(deleted.Key, "came back")            // a replay that the sweeper could not see
	s.plant(user+"/nobody_knows", "who is this") // never in the books
	if err := s.store.Delete(t.Context(), lost.Key); err != nil {
		t.Fatal(err)
	}
	s.exec("UPDATE quotas SET used_bytes = used_bytes + 5 WHERE user_id = ?", user)
	d := s.recount()
	want := storage.Drift{
		Accounts: 2, Listed: 4, OffAccounts: 1, OffBytes: 5, StrayObjects: 1, StrayBytes: 9, UnknownObjects: 1, UnknownBytes: 11,
		MissingObjects: 1, MissingBytes: 4, Reopened: 1, UnknownKeys: []string{user + "/nobody_knows"}, LostKeys: []string{lost.Key},
	}
	if strings.Join(d.UnknownKeys, " ") != strings.Join(want.UnknownKeys, " ") || strings.Join(d.LostKeys, " ") != strings.Join(want.LostKeys, " ") {
		t.Errorf("keys %v and %v", d.UnknownKeys, d.LostKeys)
	}
	d.UnknownKeys, d.LostKeys, want.UnknownKeys, want.LostKeys = nil, nil, nil, nil
	if !equalDrift(d, want) {
		t.Errorf("found %+v\nwant  %+v", d, want)
	}
	s.wantQuota(user, 8, 2, 0, 0) // the rows won; the lost file is still in the books
	if _, err := s.svc.Get(t.Context(), user, lost.Id); err != nil {
		t.Errorf("the recount forgot a file by itself: %v", err)
	}
	if done, err := s.svc.Sweep(t.Context()); err != nil || done.Purged != 1 {
		t.Errorf("swept %+v, %v", done, err)
	}
	if _, err := s.store.Head(t.Context(), deleted.Key); !errors.Is(err, storage.ErrNoObject) {
		t.Errorf("the stray is still there: %v", err)
	}
	if _, err := s.store.Head(t.Context(), user+"/nobody_knows"); err != nil {
		t.Errorf("what nobody knows was removed: %v", err)
	}
	gone, err := s.svc.ForgetLost(t.Context(), user)
	if err != nil || len(gone) != 1 || gone[0] != lost.Id {
		t.Errorf("forgot %v, %v", gone, err)
	}
	s.wantQuota(user, 4, 1, 0, 0)
	if got := s.download(user, kept); string(got) != "kept" {
		t.Errorf("the other file holds %q", got)
	}
}

func equalDrift(a, b storage.Drift) bool {
	return a.Accounts == b.Accounts && a.Listed == b.Listed && a.OffAccounts == b.OffAccounts && a.OffBytes == b.OffBytes &&
		a.OffObjects == b.OffObjects && a.StrayObjects == b.StrayObjects && a.StrayBytes == b.StrayBytes &&
		a.UnknownObjects == b.UnknownObjects && a.UnknownBytes == b.UnknownBytes && a.MissingObjects == b.MissingObjects &&
		a.MissingBytes == b.MissingBytes && a.ChangedObjects == b.ChangedObjects && a.Reopened == b.Reopened
}

func TestFilesGoWhenTheirClassIsKeptNoLonger(t *testing.T) {
	s := newStack(t, func(c *storage.Config) {
		c.Retention = storage.NewRetention(0, time.Hour, 0, 48*time.Hour)
	})
	user := s.user()
	job, agent := s.job(user)
	own := s.put(user, "own", []byte("own"))
	if own.ExpiresAt == nil || !own.ExpiresAt.Equal(own.CreatedAt.Add(48*time.Hour)) {
		t.Errorf("it says that it goes at %v, stored at %v", own.ExpiresAt, own.CreatedAt)
	}
	for class, name := range map[string]string{"profile": "p.h5", "output": "out"} {
		var r struct {
			Tickets []api.UploadTicket `json:"tickets"`
		}
		entry := map[string]any{"path": name, "class": class, "size": 1, "sha256": sum([]byte("x"))}
		s.want(http.StatusOK, agent, http.MethodPost, "/agent/jobs/"+job.String()+"/uploads", map[string]any{"attempt": 0, "entries": []any{entry}}, &r)
		send(t, *r.Tickets[0].Put, []byte("x"), nil)
		s.complete(agent, r.Tickets[0])
	}
	for _, c := range []struct {
		after time.Duration
		gone  int
	}{{59 * time.Minute, 0}, {61 * time.Minute, 1}, {47 * time.Hour, 0}, {49 * time.Hour, 1}, {9000 * time.Hour, 0}} {
		s.clock.Store(int64(c.after))
		if n, err := s.svc.Expire(t.Context()); err != nil || n != c.gone {
			t.Errorf("after %s %d files went, want %d, %v", c.after, n, c.gone, err)
		}
	}
	s.wantQuota(user, 1, 1, 0, 0)
	if left, err := s.store.List(t.Context(), user+"/", "", 10); err != nil || len(left) != 1 || !strings.HasSuffix(left[0].Key, "/output/out") {
		t.Errorf("the store has %+v, %v", left, err)
	}
}

// Each class goes at its own time, and no other with it.
func TestEachClassIsKeptAsLongAsItIsToBe(t *testing.T) {
	s := newStack(t, func(c *storage.Config) {
		c.Retention = storage.NewRetention(1*time.Hour, 2*time.Hour, 3*time.Hour, 4*time.Hour)
	})
	user := s.user()
	job, agent := s.job(user)
	s.put(user, "own", []byte("own"))
	for _, class := range []api.FileClass{api.FileClassOutput, api.FileClassStdout, api.FileClassStderr, api.FileClassProfile, api.FileClassInput} {
		ticket := s.presignJob(agent, job, 0, entry("a."+string(class), class, []byte("x")))[0]
		send(t, *ticket.Put, []byte("x"), nil)
		s.complete(agent, ticket)
	}
	for _, c := range []struct {
		after time.Duration
		left  string
	}{
		{59 * time.Minute, "input output profile stderr stdout upload"},
		{61 * time.Minute, "input profile upload"},
		{121 * time.Minute, "input upload"},
		{181 * time.Minute, "upload"},
		{241 * time.Minute, ""},
	} {
		s.clock.Store(int64(c.after))
		if _, err := s.svc.Expire(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := s.classes(user); got != c.left {
			t.Errorf("after %s there is left: %q, want %q", c.after, got, c.left)
		}
	}
	s.wantNoBytes(user)
}

// classes are those of a user's files, in order.
func (s *stack) classes(user string) string {
	s.t.Helper()
	var page struct{ Files []api.FileObject }
	s.want(http.StatusOK, user, http.MethodGet, "/files/list", nil, &page)
	var names []string
	for _, f := range page.Files {
		names = append(names, string(f.Class))
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// lostAnswer is a store whose answer to beginning a multipart never arrives: what a crash in between looks like.
type lostAnswer struct{ storage.Multiparts }

func (l lostAnswer) Create(ctx context.Context, key, contentType string) (string, error) {
	if _, err := l.Multiparts.Create(ctx, key, contentType); err != nil {
		return "", err
	}
	return "", errors.New("the connection broke")
}

func TestAMultipartWhoseIDWasNeverWrittenDownIsEndedByTheSweeper(t *testing.T) {
	each(t, func(c *storage.Config) { c.Multiparts = lostAnswer{c.Multiparts} }, func(t *testing.T, s *stack) {
		user := s.user()
		ticket, err := s.svc.PresignUpload(t.Context(), user, storage.Request{Name: "big", SizeBytes: storage.SingleMaxBytes + 1})
		if err != nil {
			t.Fatal(err)
		}
		wish := []storage.PartWish{{Number: 1, SizeBytes: ticket.Upload.Plan.PartBytes}}
		for range 2 {
			if _, err := s.svc.PresignParts(t.Context(), storage.Caller{UserID: user}, ticket.Upload.ID, wish); !apperr.Is(err, apperr.StoreUnavailable) {
				t.Fatal(err)
			}
		}
		s.clock.Store(int64(9 * 24 * time.Hour))
		if done, err := s.svc.Sweep(t.Context()); err != nil || done.Expired != 1 {
			t.Errorf("swept %+v, %v", done, err)
		}
		if n, err := s.store.AbortAll(t.Context(), ticket.Upload.Key); err != nil || n != 0 {
			t.Errorf("%d multiparts were left behind, %v", n, err)
		}
		s.wantQuota(user, 0, 0, 0, 0)
	})
}

func TestAPrefixIsErasedInBooksAndStoreAndNothingBesideIt(t *testing.T) {
	s := newStack(t, nil)
	user, other := s.user(), s.user()
	s.put(user, "a", []byte("a"))
	s.put(other, "b", []byte("bb"))
	s.plant(user+"/stray", "x")
	var open api.UploadTicket
	s.want(http.StatusCreated, user, http.MethodPost, "/files/presign/upload", request("open", []byte("open")), &open)
	for _, bad := range []string{"", "/", "_ergon/", "a/", user, user[:8] + "/", other + "/../x", "*"} {
		if _, err := s.svc.ErasePrefix(t.Context(), bad); !apperr.Is(err, apperr.InvalidRequest) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for i, want := range []storage.Erased{{Objects: 1, Aborted: 1, Entries: 2}, {}} {
		if got, err := s.svc.ErasePrefix(t.Context(), user+"/"); err != nil || got != want {
			t.Errorf("time %d: %+v, %v", i+1, got, err)
		}
	}
	s.wantQuota(user, 0, 0, 0, 0)
	s.wantQuota(other, 2, 1, 0, 0)
	send(t, *open.Put, []byte("open"), nil) // its URL lives on
	s.clock.Store(int64(2 * time.Hour))
	if _, err := s.svc.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	if left, err := s.store.List(t.Context(), user+"/", "", 10); err != nil || len(left) > 0 {
		t.Errorf("after the sweep %v is left, %v", left, err)
	}
	if _, err := s.svc.ErasePrefix(t.Context(), uuid.NewString()+"/"); err != nil {
		t.Errorf("a prefix without anything: %v", err)
	}
}
