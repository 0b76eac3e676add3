package integration

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
	"github.com/ergon-hpc/ergon/shared/api"
)

func entry(path string, class api.FileClass, content []byte) api.JobUploadEntry {
	return api.JobUploadEntry{Path: path, Class: class, Size: int64(len(content)), Sha256: sum(content)}
}

type batch struct {
	Attempt int32                `json:"attempt"`
	Entries []api.JobUploadEntry `json:"entries"`
}

func (s *stack) presignJob(agent string, job uuid.UUID, attempt int32, entries ...api.JobUploadEntry) []api.UploadTicket {
	s.t.Helper()
	var got struct{ Tickets []api.UploadTicket }
	s.want(http.StatusOK, agent, http.MethodPost, "/agent/jobs/"+job.String()+"/uploads", batch{attempt, entries}, &got)
	if len(got.Tickets) != len(entries) {
		s.t.Fatalf("%d tickets for %d entries", len(got.Tickets), len(entries))
	}
	return got.Tickets
}

func TestAgentUploadsOutputsOfAJob(t *testing.T) {
	s := newStack(t, nil)
	user := s.user()
	job, agent := s.job(user)
	contents := [][]byte{[]byte("one"), nil, []byte("three"), []byte("profile"), []byte("in a directory")}
	entries := []api.JobUploadEntry{
		entry("res/one.txt", api.FileClassOutput, contents[0]),
		entry("slurm-1.out", api.FileClassStdout, contents[1]),
		entry("slurm-1.out", api.FileClassOutput, contents[2]),
		entry("1_0_node.h5", api.FileClassProfile, contents[3]),
		entry("res", api.FileClassOutput, contents[4]), // a file where another has a directory
	}
	for i, ticket := range s.presignJob(agent, job, 0, entries...) {
		if ticket.Status != api.UploadTicketStatusPut || ticket.Name != entries[i].Path {
			t.Fatalf("ticket %d: %s %+v", i, ticket.Name, ticket.Problem)
		}
		if status, text := send(t, *ticket.Put, contents[i], nil); status != http.StatusOK {
			t.Fatalf("PUT %d: %d %s", i, status, text)
		}
		f := s.complete(agent, ticket)
		prefix := fmt.Sprintf("%s/jobs/%s/0/%s/", user, job, entries[i].Class)
		if !strings.HasPrefix(f.Key, prefix) || f.Name != entries[i].Path || *f.JobId != job || *f.Attempt != 0 {
			t.Errorf("%+v", f)
		}
		if got := s.download(user, f); !bytes.Equal(got, contents[i]) {
			t.Errorf("%s comes back as %q", f.Key, got)
		}
	}
	for _, ticket := range s.presignJob(agent, job, 0, entries...) {
		if ticket.Status != api.UploadTicketStatusStored || ticket.File == nil {
			t.Errorf("asked again: %+v", ticket)
		}
	}
	var page struct{ Files []api.FileObject }
	s.want(http.StatusOK, user, http.MethodGet, "/files/list?prefix=jobs/"+job.String()+"/0/output/", nil, &page)
	if len(page.Files) != 3 {
		t.Errorf("the prefix lists %d", len(page.Files))
	}
	if got, err := s.svc.ForJob(t.Context(), storage.JobRef{ID: job}, storage.ClassProfile); err != nil || len(got) != 1 {
		t.Errorf("profiles %+v, %v", got, err)
	}
}

func TestChangedStdoutIsStoredBesideTheOldOne(t *testing.T) {
	s := newStack(t, nil)
	user := s.user()
	job, agent := s.job(user)
	var files []api.FileObject
	for _, content := range []string{"early", "complete"} {
		ticket := s.presignJob(agent, job, 0, entry("slurm.out", api.FileClassStdout, []byte(content)))[0]
		if status, _ := send(t, *ticket.Put, []byte(content), nil); status != http.StatusOK {
			t.Fatalf("PUT %s: %d", content, status)
		}
		files = append(files, s.complete(agent, ticket))
	}
	for i, want := range []string{"early", "complete"} {
		if got := s.download(user, files[i]); string(got) != want {
			t.Errorf("%s holds %q", files[i].Key, got)
		}
	}
	s.wantQuota(user, 13, 2, 0, 0)
	got, err := s.svc.ForJob(t.Context(), storage.JobRef{ID: job}, storage.ClassStdout)
	if err != nil || len(got) != 2 || got[1].ID != files[1].Id {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestBadEntriesAreRefusedOneByOne(t *testing.T) {
	s := newStack(t, func(c *storage.Config) { c.Quota = storage.Limit{Bytes: 10, Objects: 100} })
	user := s.user()
	job, agent := s.job(user)
	tickets := s.presignJob(
		agent, job, 0,
		entry("../../etc/passwd", api.FileClassOutput, []byte("x")),
		entry("/abs", api.FileClassOutput, []byte("x")),
		entry("ok", api.FileClassOutput, []byte("12345")),
		entry("of a user", api.FileClassUpload, []byte("x")),
		entry("too much", api.FileClassOutput, []byte("123456")),
		entry("fits", api.FileClassOutput, []byte("1234")),
		entry("ok", api.FileClassOutput, []byte("12345")), // sent twice in one call
	)
	want := []string{"invalid_request", "invalid_request", "put", "invalid_request", "quota_exceeded", "put", "put"}
	for i, ticket := range tickets {
		got := string(ticket.Status)
		if ticket.Problem != nil {
			got = string(ticket.Problem.Code)
		}
		if got != want[i] {
			t.Errorf("entry %d: %s, want %s", i, got, want[i])
		}
	}
	if *tickets[2].UploadId != *tickets[6].UploadId {
		t.Error("the entry that was sent twice has two uploads")
	}
	s.wantQuota(user, 0, 0, 9, 2)
}

func TestAgentActsForLinkedUsersOfItsClusterOnly(t *testing.T) {
	s := newStack(t, nil)
	user, stranger := s.user(), s.user()
	job, agent := s.job(user)
	_, elsewhere := s.job(stranger)
	mine, _ := s.agents.Load(agent)
	with := func(name string, change func(*principal.Principal)) string {
		p := mine.(principal.Principal)
		change(&p)
		s.agents.Store(name, p)
		return name
	}
	for name, c := range map[string]struct {
		token string
		code  api.ErrorCode
	}{
		"agent of another cluster": {elsewhere, api.NotFound},
		"agent without the scope":  {with("no-scope", func(p *principal.Principal) { p.Scopes = nil }), api.Forbidden},
		"agent of another user": {with("foreign", func(p *principal.Principal) {
			p.AgentKind, p.OwnerUserID = principal.AgentUser, stranger
		}), api.NotFound},
		"user": {user, api.Forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			s.wantCode(c.code, c.token, http.MethodPost, "/agent/jobs/"+job.String()+"/uploads", batch{0, []api.JobUploadEntry{entry("x", api.FileClassOutput, nil)}})
		})
	}
	p := s.wantCode(api.NotFound, agent, http.MethodPost, "/agent/jobs/"+uuid.NewString()+"/uploads", batch{0, []api.JobUploadEntry{entry("x", api.FileClassOutput, nil)}})
	if p.Detail == nil || !strings.Contains(*p.Detail, "/agent/events") {
		t.Errorf("an unknown job: %+v", p)
	}
	own := with("own", func(p *principal.Principal) { p.AgentKind, p.OwnerUserID = principal.AgentUser, user })
	ticket := s.presignJob(own, job, 0, entry("x", api.FileClassOutput, nil))[0]
	s.wantCode(api.NotFound, elsewhere, http.MethodPost, "/files/uploads/"+ticket.UploadId.String()+"/complete", nil)
	s.exec("DELETE FROM links WHERE user_id = ?", user)
	s.wantCode(api.Forbidden, agent, http.MethodPost, "/files/uploads/"+ticket.UploadId.String()+"/abort", nil)
	var private api.UploadTicket
	s.want(http.StatusCreated, user, http.MethodPost, "/files/presign/upload", request("private", nil), &private)
	s.wantCode(api.NotFound, agent, http.MethodGet, "/files/uploads/"+private.UploadId.String(), nil)
}

func TestExpiredURLIsReplacedByAskingAgain(t *testing.T) {
	s := newStack(t, func(c *storage.Config) { c.URLLifetime = time.Second })
	user := s.user()
	job, agent := s.job(user)
	content := []byte("x")
	first := s.presignJob(agent, job, 0, entry("x", api.FileClassOutput, content))[0]
	time.Sleep(2100 * time.Millisecond)
	if status, _ := send(t, *first.Put, content, nil); status == http.StatusOK {
		t.Fatal("an expired URL works")
	}
	var second api.UploadTicket
	s.eventually("a fresh URL works; on a busy machine the next one does", func() bool {
		second = s.presignJob(agent, job, 0, entry("x", api.FileClassOutput, content))[0]
		if *first.UploadId != *second.UploadId {
			t.Error("another upload")
		}
		status, _ := send(t, *second.Put, content, nil)
		return status == http.StatusOK
	})
	s.complete(agent, second)
	s.wantQuota(user, 1, 1, 0, 0)
}

// The agent may ask for 1000 files in one call, and no more.
func TestABatchOfAThousandIsOneCallAndOneMoreIsRefused(t *testing.T) {
	each(t, nil, func(t *testing.T, s *stack) {
		user := s.user()
		job, agent := s.job(user)
		entries := make([]api.JobUploadEntry, 1001)
		for i := range entries {
			entries[i] = entry(fmt.Sprintf("res/%04d.txt", i), api.FileClassOutput, fmt.Append(nil, i))
		}
		first := s.presignJob(agent, job, 0, entries[:1000]...)
		keys := map[string]bool{}
		for i, ticket := range first {
			if ticket.Status != api.UploadTicketStatusPut || ticket.Name != entries[i].Path {
				t.Fatalf("ticket %d: %s %s %+v", i, ticket.Status, ticket.Name, ticket.Problem)
			}
			keys[strings.SplitN(ticket.Put.Url, "?", 2)[0]] = true
		}
		if len(keys) != 1000 {
			t.Errorf("the URLs are of %d objects", len(keys))
		}
		for i, ticket := range s.presignJob(agent, job, 0, entries[:1000]...) {
			if *ticket.UploadId != *first[i].UploadId {
				t.Fatalf("asked again, ticket %d is another upload", i)
			}
		}
		_, _, bytes, objects := s.quota(user)
		if objects != 1000 || bytes != 10+2*90+3*900 {
			t.Errorf("%d bytes in %d objects are reserved", bytes, objects)
		}
		for _, i := range []int{0, 999} { // first and last are good
			content := fmt.Append(nil, i)
			if status, text := send(t, *first[i].Put, content, nil); status != http.StatusOK {
				t.Fatalf("PUT %d: %d %s", i, status, text)
			}
			s.complete(agent, first[i])
		}
		if p := s.wantCode(api.InvalidRequest, agent, http.MethodPost, "/agent/jobs/"+job.String()+"/uploads", batch{0, entries}); p.Status != http.StatusBadRequest {
			t.Errorf("1001 entries: %+v", p)
		}
		if _, _, _, objects := s.quota(user); objects != 998 {
			t.Errorf("%d objects are reserved after the refusal", objects)
		}
	})
}
