package integration

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
	"github.com/ergon-hpc/ergon/shared/api"
)

func TestFilesGoUpAndComeBack(t *testing.T) {
	s := newStack(t, nil)
	user := s.user()
	for name, content := range map[string][]byte{
		"result.h5":                nil,
		"a b/ü|\n.txt":             []byte("x"),
		"..":                       []byte("traversal"),
		strings.Repeat("n", 255):   []byte("255"),
		strings.Repeat("ü", 500):   []byte("1000"),
		"big.bin":                  bytes.Repeat([]byte("0123456789"), 200_000),
		"$(rm -rf)`x`;DROP TABLE'": []byte("y"),
	} {
		f := s.put(user, name, content)
		if f.Name != name || f.Size != int64(len(content)) || f.Sha256 != sum(content) || !*f.Sha256Verified || f.Class != api.FileClassUpload {
			t.Errorf("%.20q: %+v", name, f)
		}
		if !strings.HasPrefix(f.Key, user+"/"+f.Id.String()+"_") || strings.Contains(f.Key, "..") || strings.Count(f.Key, "/") != 1 {
			t.Errorf("%.20q has key %s", name, f.Key)
		}
		if got := s.download(user, f); !bytes.Equal(got, content) {
			t.Errorf("%.20q comes back with %d bytes of %d", name, len(got), len(content))
		}
	}
	if _, objects, reserved, reservedObjects := s.quota(user); objects != 7 || reserved != 0 || reservedObjects != 0 {
		t.Errorf("%d objects, %d bytes reserved in %d", objects, reserved, reservedObjects)
	}
	if len(s.seen.list) != 7 {
		t.Errorf("%d objects were told of", len(s.seen.list))
	}
}

func TestUploadIsIdempotentAtEveryStep(t *testing.T) {
	s := newStack(t, nil)
	user, content := s.user(), []byte("content")
	var first, second api.UploadTicket
	s.want(http.StatusCreated, user, http.MethodPost, "/files/presign/upload", request("f", content), &first)
	s.want(http.StatusCreated, user, http.MethodPost, "/files/presign/upload", request("f", content), &second)
	if *first.UploadId != *second.UploadId {
		t.Error("asking again reserves again")
	}
	s.wantQuota(user, 0, 0, 7, 1)
	path := "/files/uploads/" + first.UploadId.String()
	s.wantCode(api.UploadIncomplete, user, http.MethodPost, path+"/complete", nil)
	for i, want := range []int{http.StatusOK, http.StatusPreconditionFailed} {
		if status, _ := send(t, *[]api.UploadTicket{first, second}[i].Put, content, nil); status != want {
			t.Errorf("PUT %d answers %d, want %d", i, status, want)
		}
	}
	a, b := s.complete(user, first), s.complete(user, second)
	if a.Id != b.Id || a.Key != b.Key {
		t.Errorf("completing twice gives %+v and %+v", a, b)
	}
	s.wantQuota(user, 7, 1, 0, 0)
	var st api.UploadStatus
	s.want(http.StatusOK, user, http.MethodGet, path, nil, &st)
	if st.Status != api.UploadStatusStatusStored || st.File == nil || st.File.Id != a.Id {
		t.Errorf("state %+v", st)
	}
	s.wantCode(api.Conflict, user, http.MethodPost, path+"/abort", nil)
	for _, want := range []int{http.StatusNoContent, http.StatusNotFound} {
		s.want(want, user, http.MethodDelete, "/files/"+a.Id.String(), nil, nil)
	}
	s.wantQuota(user, 0, 0, 0, 0)
	s.wantCode(api.Gone, user, http.MethodPost, path+"/complete", nil)
	s.wantCode(api.NotFound, user, http.MethodGet, "/files/presign/download?id="+a.Id.String(), nil)
}

func TestAbortReleasesAndTheSweeperRemovesWhatCame(t *testing.T) {
	s := newStack(t, nil)
	user, content := s.user(), []byte("content")
	var ticket api.UploadTicket
	s.want(http.StatusCreated, user, http.MethodPost, "/files/presign/upload", request("f", content), &ticket)
	path := "/files/uploads/" + ticket.UploadId.String()
	for range 2 {
		s.want(http.StatusNoContent, user, http.MethodPost, path+"/abort", nil, nil)
	}
	s.wantQuota(user, 0, 0, 0, 0)
	if status, _ := send(t, *ticket.Put, content, nil); status != http.StatusOK { // the URL lives on
		t.Fatalf("PUT after the abort: %d", status)
	}
	s.wantCode(api.UploadExpired, user, http.MethodPost, path+"/complete", nil)
	s.sweepAfter(2*time.Hour, storage.Swept{Examined: 1, Purged: 1})
	s.wantNoBytes(user)
	s.sweepAfter(2*time.Hour, storage.Swept{})
}

func (s *stack) sweepAfter(ahead time.Duration, want storage.Swept) {
	s.t.Helper()
	s.clock.Store(int64(ahead))
	defer s.clock.Store(0)
	got, err := s.svc.Sweep(s.t.Context())
	if err != nil || got != want {
		s.t.Errorf("swept %+v, %v; want %+v", got, err, want)
	}
}

func (s *stack) wantNoBytes(user string) {
	s.t.Helper()
	if left, err := s.store.List(s.t.Context(), user+"/", "", 10); err != nil || len(left) > 0 {
		s.t.Errorf("the store still has %+v, %v", left, err)
	}
}

func TestSweeperSettlesWhatWasSentWithoutCompletionAndReleasesTheRest(t *testing.T) {
	s := newStack(t, nil)
	user := s.user()
	var sent, lost api.UploadTicket
	s.want(http.StatusCreated, user, http.MethodPost, "/files/presign/upload", request("sent", []byte("sent")), &sent)
	s.want(http.StatusCreated, user, http.MethodPost, "/files/presign/upload", request("lost", []byte("never sent")), &lost)
	if status, _ := send(t, *sent.Put, []byte("sent"), nil); status != http.StatusOK {
		t.Fatal(status)
	}
	s.sweepAfter(time.Hour, storage.Swept{}) // the transfer allowance is not over
	s.sweepAfter(2*time.Hour, storage.Swept{Examined: 2, Settled: 1, Expired: 1})
	s.wantQuota(user, 4, 1, 0, 0)
	if f := s.complete(user, sent); f.Name != "sent" {
		t.Errorf("%+v", f)
	}
	s.wantCode(api.UploadExpired, user, http.MethodPost, "/files/uploads/"+lost.UploadId.String()+"/complete", nil)
}

func TestReplayAfterDeletionIsSwept(t *testing.T) {
	s := newStack(t, nil)
	user, content := s.user(), []byte("content")
	var ticket api.UploadTicket
	s.want(http.StatusCreated, user, http.MethodPost, "/files/presign/upload", request("f", content), &ticket)
	send(t, *ticket.Put, content, nil)
	f := s.complete(user, ticket)
	s.want(http.StatusNoContent, user, http.MethodDelete, "/files/"+f.Id.String(), nil, nil)
	if status, _ := send(t, *ticket.Put, content, nil); status != http.StatusOK {
		t.Fatalf("the replay answers %d", status)
	}
	s.sweepAfter(2*time.Hour, storage.Swept{Examined: 1, Purged: 1})
	s.wantNoBytes(user)
	s.wantQuota(user, 0, 0, 0, 0)
}

func TestOthersFilesDoNotExist(t *testing.T) {
	s := newStack(t, nil)
	alice, mallory := s.user(), s.user()
	f := s.put(alice, "secret", []byte("alice's"))
	var open api.UploadTicket
	s.want(http.StatusCreated, alice, http.MethodPost, "/files/presign/upload", request("open", []byte("open")), &open)
	up := "/files/uploads/" + open.UploadId.String()
	part := map[string]any{"parts": []api.PartDigest{{Number: 1, Size: 1, Sha256: sum(nil)}}}
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{http.MethodGet, "/files/" + f.Id.String(), nil},
		{http.MethodDelete, "/files/" + f.Id.String(), nil},
		{http.MethodGet, "/files/presign/download?id=" + f.Id.String(), nil},
		{http.MethodGet, up, nil},
		{http.MethodPost, up + "/parts", part},
		{http.MethodPost, up + "/complete", nil},
		{http.MethodPost, up + "/abort", nil},
	} {
		theirs := s.wantCode(api.NotFound, mallory, c.method, c.path, c.body)
		nobodys := s.wantCode(api.NotFound, mallory, c.method, strings.NewReplacer(f.Id.String(), uuid.NewString(), open.UploadId.String(), uuid.NewString()).Replace(c.path), c.body)
		if *theirs.Detail != *nobodys.Detail {
			t.Errorf("%s %s tells that it exists: %q and %q", c.method, c.path, *theirs.Detail, *nobodys.Detail)
		}
	}
	for _, prefix := range []string{"", "../" + alice + "/", alice, "%", "/"} {
		var page struct{ Files []api.FileObject }
		s.want(http.StatusOK, mallory, http.MethodGet, "/files/list?prefix="+url.QueryEscape(prefix), nil, &page)
		if len(page.Files) > 0 {
			t.Errorf("prefix %q lists %+v", prefix, page.Files)
		}
	}
	if got := s.download(alice, f); string(got) != "alice's" {
		t.Errorf("the file now holds %q", got)
	}
}

func TestListPagesAndFilters(t *testing.T) {
	each(t, nil, listPagesAndFilters)
}

func listPagesAndFilters(t *testing.T, s *stack) {
	user := s.user()
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		s.put(user, name, []byte(name))
	}
	var names []string
	keys := ""
	for cursor := ""; ; {
		var page struct {
			Files      []api.FileObject
			NextCursor string `json:"next_cursor"`
		}
		s.want(http.StatusOK, user, http.MethodGet, "/files/list?limit=2&cursor="+cursor, nil, &page)
		for _, f := range page.Files {
			if f.Key <= keys {
				t.Errorf("%s comes after %s", f.Key, keys)
			}
			keys = f.Key
			names = append(names, f.Name)
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	if len(names) != 5 {
		t.Errorf("the pages give %v", names)
	}
	var page struct{ Files []api.FileObject }
	s.want(http.StatusOK, user, http.MethodGet, "/files/list?name=c", nil, &page)
	if len(page.Files) != 1 || page.Files[0].Name != "c" {
		t.Errorf("by name: %+v", page.Files)
	}
	for _, name := range []string{"data/a", "data/sub/b", "data_x", "Data/a", "dat%/a", "ü/ü"} {
		s.put(user, name, []byte(name))
	}
	for prefix, want := range map[string]int{"data/": 2, "data/sub/": 1, "dat": 4, "dat%": 1, "ü/": 1, "DATA/": 0, "data/a": 1, "_": 0} {
		s.want(http.StatusOK, user, http.MethodGet, "/files/list?name_prefix="+url.QueryEscape(prefix), nil, &page)
		if len(page.Files) != want {
			t.Errorf("%d names begin with %q, want %d: %+v", len(page.Files), prefix, want, page.Files)
		}
	}
	s.want(http.StatusOK, user, http.MethodGet, "/files/list?class=profile", nil, &page)
	if len(page.Files) != 0 {
		t.Errorf("by class: %+v", page.Files)
	}
	other := s.put(s.user(), "x", nil)
	for _, cursor := range []string{"!", "eA", other.Id.String()} {
		s.wantCode(api.InvalidRequest, user, http.MethodGet, "/files/list?cursor="+cursor, nil)
	}
}

func TestBadWishesSayWhatIsWrong(t *testing.T) {
	s := newStack(t, nil)
	user := s.user()
	good := request("f", []byte("x"))
	for name, change := range map[string]func(*api.UploadRequest){
		"NUL in the name":   func(r *api.UploadRequest) { r.Name = "a\x00b" },
		"digest upper case": func(r *api.UploadRequest) { r.Sha256 = strings.ToUpper(r.Sha256) },
		"digest short":      func(r *api.UploadRequest) { r.Sha256 = r.Sha256[1:] },
		"negative size":     func(r *api.UploadRequest) { r.Size = -1 },
		"class of a job":    func(r *api.UploadRequest) { c := api.FileClassProfile; r.Class = &c },
		"header in type":    func(r *api.UploadRequest) { c := "text/plain\r\nX-A: b"; r.ContentType = &c },
		"no media type":     func(r *api.UploadRequest) { c := "nonsense"; r.ContentType = &c },
	} {
		r := good
		change(&r)
		if p := s.wantCode(api.InvalidRequest, user, http.MethodPost, "/files/presign/upload", r); p.Detail == nil || *p.Detail == "" {
			t.Errorf("%s: nothing is said", name)
		}
	}
	huge := good
	huge.Size = 5<<40 + 1
	s.wantCode(api.TooLarge, user, http.MethodPost, "/files/presign/upload", huge)
}

func TestOverQuotaIsRefusedWithTheNumbers(t *testing.T) {
	s := newStack(t, func(c *storage.Config) { c.Quota = storage.Limit{Bytes: 10, Objects: 100} })
	user := s.user()
	s.put(user, "seven", []byte("1234567"))
	p := s.wantCode(api.QuotaExceeded, user, http.MethodPost, "/files/presign/upload", request("four", []byte("1234")))
	if p.Status != http.StatusForbidden || p.Quota == nil || p.Quota.UsedBytes != 7 || p.Quota.NeededBytes != 4 || p.Quota.LimitBytes != 10 {
		t.Errorf("%+v %+v", p, p.Quota)
	}
	s.put(user, "three", []byte("123"))
}

func TestStoreThatIsKilledComesBackWithItsObjects(t *testing.T) {
	s := newStack(t, nil)
	user, content := s.user(), []byte("content")
	f := s.put(user, "before", content)
	var ticket api.UploadTicket
	s.want(http.StatusCreated, user, http.MethodPost, "/files/presign/upload", request("during", content), &ticket)
	s.killObjects()
	if got := s.download(user, f); !bytes.Equal(got, content) {
		t.Errorf("it now holds %q", got)
	}
	if status, _ := send(t, *ticket.Put, content, nil); status != http.StatusOK { // signed before, good after
		t.Errorf("PUT: %d", status)
	}
	s.complete(user, ticket)
}

func TestStoreThatIsDownIsSaidSoAndNothingIsLost(t *testing.T) {
	s := newStackThatRestarts(t, 2*time.Second, nil)
	user, content := s.user(), []byte("content")
	f := s.put(user, "deleted meanwhile", content)
	var ticket api.UploadTicket
	s.want(http.StatusCreated, user, http.MethodPost, "/files/presign/upload", request("x", content), &ticket)
	send(t, *ticket.Put, content, nil)
	if err := syscall.Kill(s.objects.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	path := "/files/uploads/" + ticket.UploadId.String()
	if p := s.wantCode(api.StoreUnavailable, user, http.MethodPost, path+"/complete", nil); p.Status != http.StatusServiceUnavailable || p.RetryAfterS == nil {
		t.Errorf("%+v", p)
	}
	s.want(http.StatusNoContent, user, http.MethodDelete, "/files/"+f.Id.String(), nil, nil) // works without the store
	s.wantQuota(user, 0, 0, 7, 1)
	s.eventually("the object store comes back", func() bool { return s.objects.Health(t.Context()) == nil })
	s.complete(user, ticket)
	s.sweepAfter(2*time.Hour, storage.Swept{Examined: 2, Purged: 1, Closed: 1})
	if left, err := s.store.List(t.Context(), user+"/", "", 10); err != nil || len(left) != 1 {
		t.Errorf("the store has %+v, %v", left, err)
	}
}

// T11: whatever happens, no signature is logged or kept.
func TestThreat_T11_NoPresignedURLIsLoggedOrStored(t *testing.T) {
	s := newStack(t, nil)
	user := s.user()
	job, agent := s.job(user)
	f := s.put(user, "f", []byte("x"))
	s.download(user, f)
	s.wantCode(api.InvalidRequest, user, http.MethodPost, "/files/presign/upload", map[string]any{"name": "f"})
	s.presignJob(agent, job, 0, entry("out", api.FileClassOutput, []byte("x")))
	if len(s.log.String()) == 0 {
		t.Fatal("nothing was logged at all")
	}
	if strings.Contains(s.log.String(), "X-Amz-") {
		t.Error("the log holds a signature")
	}
	rows, err := s.db.SQL().Query("SELECT id || object_key || name || store_upload_id || store_checksum || content_type FROM uploads")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		n++
		if strings.Contains(text, "X-Amz-") {
			t.Error("the database holds a signature")
		}
	}
	if rows.Err() != nil || n == 0 {
		t.Errorf("%d rows, %v", n, rows.Err())
	}
}
