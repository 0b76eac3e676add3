package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
	"github.com/ergon-hpc/ergon/shared/api"
)

const partBytes = 16 << 20

// filler is content of any length that differs in every part.
func filler(number int32, size int64) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "part %010d\n", number), int(size/16)+1)[:size]
}

// big is a file of n bytes in parts, made part by part so that nobody holds all of it.
type big struct {
	size  int64
	count int32
	sum   string
}

func newBig(size int64) big {
	b := big{size: size, count: int32((size + partBytes - 1) / partBytes)}
	h := sha256.New()
	for n := int32(1); n <= b.count; n++ {
		h.Write(b.part(n))
	}
	b.sum = storage.Digest(h.Sum(nil)).Hex()
	return b
}

func (b big) part(n int32) []byte {
	return filler(n, min(partBytes, b.size-int64(n-1)*partBytes))
}

func (b big) begin(s *stack, user string) api.UploadTicket {
	s.t.Helper()
	var ticket api.UploadTicket
	s.want(http.StatusCreated, user, http.MethodPost, "/files/presign/upload", api.UploadRequest{Name: "big", Size: b.size, Sha256: b.sum}, &ticket)
	if ticket.Status != api.UploadTicketStatusMultipart || *ticket.PartSize != partBytes || *ticket.PartCount != b.count {
		s.t.Fatalf("%+v", ticket)
	}
	return ticket
}

func (b big) send(s *stack, user string, ticket api.UploadTicket, numbers ...int32) {
	s.t.Helper()
	for _, n := range numbers {
		content := b.part(n)
		var got struct {
			Parts []struct {
				Number int32
				Put    api.PresignedRequest
			}
		}
		s.want(http.StatusOK, user, http.MethodPost, "/files/uploads/"+ticket.UploadId.String()+"/parts",
			map[string]any{"parts": []api.PartDigest{{Number: n, Size: int64(len(content)), Sha256: sum(content)}}}, &got)
		if status, text := send(s.t, got.Parts[0].Put, content, nil); status != http.StatusOK {
			s.t.Fatalf("part %d: %d %s", n, status, text)
		}
	}
}

func (b big) numbers(from, to int32) []int32 {
	var list []int32
	for n := from; n <= to; n++ {
		list = append(list, n)
	}
	return list
}

// A client that was killed knows nothing any more: it asks for the upload again, learns which parts are there and sends the
// rest. The embedded store is killed in between too.
func TestMultipartResumesAfterClientAndStoreWereKilled(t *testing.T) {
	each(t, nil, func(t *testing.T, s *stack) {
		size := int64(100 << 20)
		if os.Getenv("ERGON_TEST_FULL") == "1" && s.objects != nil {
			size = 1 << 30
		}
		newBig(size+5).resume(s, s.user())
		if s.objects != nil {
			checkMemory(t, s.objects.PID(), 100<<20)
		}
	})
}

func (b big) resume(s *stack, user string) {
	s.t.Helper()
	first := b.begin(s, user)
	half := b.count / 2
	b.send(s, user, first, b.numbers(1, half)...)
	if s.objects != nil {
		s.killObjects()
	}
	second := b.begin(s, user)
	if *second.UploadId != *first.UploadId {
		s.t.Fatal("the upload is not found again")
	}
	path := "/files/uploads/" + second.UploadId.String()
	var st api.UploadStatus
	s.want(http.StatusOK, user, http.MethodGet, path, nil, &st)
	if len(*st.Parts) != int(half) || (*st.Parts)[0].Sha256 != sum(b.part(1)) || st.Status != api.UploadStatusStatusReserved {
		s.t.Fatalf("%d parts of %d are known", len(*st.Parts), half)
	}
	s.wantCode(api.UploadIncomplete, user, http.MethodPost, path+"/complete", nil)
	b.send(s, user, second, b.numbers(half+1, b.count)...)
	f := s.complete(user, second)
	if f.Size != b.size || f.Sha256 != b.sum || *f.Sha256Verified {
		s.t.Errorf("%+v", f)
	}
	s.wantQuota(user, b.size, 1, 0, 0)
	b.check(s, user, f)
}

func (b big) check(s *stack, user string, f api.FileObject) {
	s.t.Helper()
	var d struct{ Get api.PresignedRequest }
	s.want(http.StatusOK, user, http.MethodGet, "/files/presign/download?id="+f.Id.String(), nil, &d)
	resp, err := http.Get(d.Get.Url)
	if err != nil {
		s.t.Fatal("downloading failed")
	}
	defer resp.Body.Close()
	h := sha256.New()
	if n, err := io.Copy(h, resp.Body); err != nil || n != b.size || storage.Digest(h.Sum(nil)).Hex() != b.sum {
		s.t.Errorf("%d bytes come back, %v; want %d", n, err, b.size)
	}
}

// checkMemory reads the greatest resident size that the process ever had (proc(5), VmHWM).
func checkMemory(t *testing.T, pid int, limit int64) {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(raw)
	if found == nil {
		t.Fatal("no VmHWM")
	}
	kib, err := strconv.ParseInt(string(found[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the store's process had at most %d MiB", kib>>10)
	if !raceDetector && kib<<10 > limit { // the detector multiplies memory
		t.Errorf("the store's process had %d MiB, more than %d", kib>>10, limit>>20)
	}
}

func TestPartsThatAreNotInThePlanAreRefused(t *testing.T) {
	s := newStack(t, nil)
	user := s.user()
	b := newBig(70 << 20)
	ticket := b.begin(s, user)
	path := "/files/uploads/" + ticket.UploadId.String() + "/parts"
	wish := func(number int32, size int64) map[string]any {
		return map[string]any{"parts": []api.PartDigest{{Number: number, Size: size, Sha256: sum(nil)}}}
	}
	for name, w := range map[string]map[string]any{
		"number beyond":      wish(6, 1),
		"number 0":           wish(0, partBytes),
		"middle too short":   wish(1, partBytes-1),
		"last too long":      wish(5, partBytes),
		"none":               {"parts": []api.PartDigest{}},
		"larger than signed": wish(2, partBytes+1),
	} {
		if p := s.wantCode(api.InvalidRequest, user, http.MethodPost, path, w); p.Detail == nil {
			t.Errorf("%s: nothing is said", name)
		}
	}
	var single api.UploadTicket
	s.want(http.StatusCreated, user, http.MethodPost, "/files/presign/upload", request("small", []byte("x")), &single)
	s.wantCode(api.Conflict, user, http.MethodPost, "/files/uploads/"+single.UploadId.String()+"/parts", wish(1, 1))
	s.wantCode(api.UploadIncomplete, user, http.MethodPost, "/files/uploads/"+ticket.UploadId.String()+"/complete", nil)
	s.want(http.StatusNoContent, user, http.MethodPost, "/files/uploads/"+ticket.UploadId.String()+"/abort", nil, nil)
	s.wantCode(api.UploadExpired, user, http.MethodPost, path, wish(1, partBytes))
	s.wantQuota(user, 0, 0, 1, 1)
}

// crashing is a store whose process "dies" around the completion: before it has an effect, or after it and before the answer.
type crashing struct {
	storage.Multiparts
	mu            sync.Mutex
	before, after int
}

var errCrash = errors.New("connection reset")

func (c *crashing) Complete(ctx context.Context, key, id string, parts []storage.Part) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.before > 0 {
		c.before--
		return errCrash
	}
	err := c.Multiparts.Complete(ctx, key, id, parts)
	if c.after > 0 {
		c.after--
		return errCrash
	}
	return err
}

// between puts c between the service and its store.
func (c *crashing) between(cfg *storage.Config) { c.Multiparts, cfg.Multiparts = cfg.Multiparts, c }

func (c *crashing) set(before, after int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.before, c.after = before, after
}

func TestCompletionWhoseAnswerWasLostIsFoundDone(t *testing.T) {
	c := &crashing{}
	each(t, c.between, func(t *testing.T, s *stack) {
		for _, lost := range []struct{ before, after int }{{1, 0}, {0, 1}, {1, 1}} {
			c.set(lost.before, lost.after)
			user := s.user()
			b := newBig(65 << 20)
			ticket := b.begin(s, user)
			b.send(s, user, ticket, b.numbers(1, b.count)...)
			path := "/files/uploads/" + ticket.UploadId.String() + "/complete"
			for range lost.before + lost.after {
				s.wantCode(api.StoreUnavailable, user, http.MethodPost, path, nil)
			}
			f := s.complete(user, ticket)
			b.check(s, user, f)
			s.wantQuota(user, b.size, 1, 0, 0)
		}
	})
}

// A kill while the store joins the parts: versitygw has renamed their directory (it never renames it back), or has linked
// the object and removed some of them.
func TestCompletionSurvivesAKillOfTheStoreWhileItJoinsTheParts(t *testing.T) {
	for name, cut := range map[string]func(s *stack, u storage.Upload, dir string){
		"before the object is there": func(*stack, storage.Upload, string) {},
		"after the object is there": func(s *stack, u storage.Upload, dir string) {
			parts, err := s.store.Parts(s.t.Context(), u.Key, u.StoreUploadID)
			if err != nil {
				s.t.Fatal(err)
			}
			if err := s.db.Storage().ExpectChecksum(s.t.Context(), u.ID, storage.Composite(parts)); err != nil {
				s.t.Fatal(err)
			}
			kept := filepath.Join(s.t.TempDir(), "kept")
			s.copyAll(filepath.Dir(dir), kept)
			if err := s.store.Complete(s.t.Context(), u.Key, u.StoreUploadID, parts); err != nil {
				s.t.Fatal(err)
			}
			s.copyAll(kept, filepath.Dir(dir))
			if err := os.Remove(filepath.Join(dir, "2")); err != nil {
				s.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, nil)
			user := s.user()
			b := newBig(65 << 20)
			ticket := b.begin(s, user)
			b.send(s, user, ticket, b.numbers(1, b.count)...)
			u, err := s.db.Storage().Upload(t.Context(), *ticket.UploadId)
			if err != nil {
				t.Fatal(err)
			}
			dir := s.partsOf(u)
			cut(s, u, dir)
			if err := os.Rename(dir, dir+".0123-5.inprogress"); err != nil {
				t.Fatal(err)
			}
			s.killObjects()
			b.check(s, user, s.complete(user, ticket))
			s.wantQuota(user, b.size, 1, 0, 0)
			if left, _ := filepath.Glob(filepath.Join(s.objectsDir, "data/*/.sgwtmp/multipart/*/*")); len(left) != 0 {
				t.Errorf("the store still holds %v", left)
			}
		})
	}
}

// copyAll copies a directory with its extended attributes, in which the store keeps checksums.
func (s *stack) copyAll(from, to string) {
	s.t.Helper()
	if out, err := exec.CommandContext(s.t.Context(), "cp", "-a", "--", from, to).CombinedOutput(); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
}

// partsOf is where the embedded store keeps the parts of an upload.
func (s *stack) partsOf(u storage.Upload) string {
	s.t.Helper()
	found, err := filepath.Glob(filepath.Join(s.objectsDir, "data/*/.sgwtmp/multipart/*", u.StoreUploadID))
	if err != nil || len(found) != 1 {
		s.t.Fatalf("directories of parts: %v, %v; want one", found, err)
	}
	return found[0]
}

func TestSweeperFindsAMultipartThatWasJoinedAndDropsOneThatWasNot(t *testing.T) {
	c := &crashing{}
	each(t, c.between, func(t *testing.T, s *stack) {
		c.set(0, 1)
		user := s.user()
		joined, stale := newBig(65<<20), newBig(66<<20)
		ticket := joined.begin(s, user)
		joined.send(s, user, ticket, joined.numbers(1, joined.count)...)
		s.wantCode(api.StoreUnavailable, user, http.MethodPost, "/files/uploads/"+ticket.UploadId.String()+"/complete", nil)
		left := stale.begin(s, user)
		stale.send(s, user, left, 1, 2)
		s.sweepAfter(3*24*60*60*1e9, storage.Swept{})
		s.sweepAfter(8*24*60*60*1e9, storage.Swept{Examined: 2, Settled: 1, Expired: 1})
		s.wantQuota(user, joined.size, 1, 0, 0)
		joined.check(s, user, s.complete(user, ticket))
		u := s.upload(left)
		if _, err := s.store.Parts(t.Context(), u.Key, u.StoreUploadID); !errors.Is(err, storage.ErrNoUpload) {
			t.Errorf("the stale parts are still there: %v", err)
		}
	})
}

// slow holds a completion until it may go on.
type slow struct {
	storage.Multiparts
	begun, goOn chan struct{}
}

func (s *slow) Complete(ctx context.Context, key, id string, parts []storage.Part) error {
	close(s.begun) // a second completion would panic
	<-s.goOn
	return s.Multiparts.Complete(ctx, key, id, parts)
}

func TestSlowCompletionGoesOnAfterTheCallGaveUp(t *testing.T) {
	hold := &slow{begun: make(chan struct{}), goOn: make(chan struct{})}
	s := newStack(t, func(cfg *storage.Config) {
		hold.Multiparts, cfg.Multiparts = cfg.Multiparts, hold
		cfg.CompleteWait = 1e8
	})
	user := s.user()
	b := newBig(65 << 20)
	ticket := b.begin(s, user)
	b.send(s, user, ticket, b.numbers(1, b.count)...)
	for range 3 {
		if p := s.wantCode(api.Busy, user, http.MethodPost, "/files/uploads/"+ticket.UploadId.String()+"/complete", nil); p.RetryAfterS == nil {
			t.Error("it does not say when to ask again")
		}
	}
	<-hold.begun
	close(hold.goOn)
	for {
		var f api.FileObject
		if s.call(user, http.MethodPost, "/files/uploads/"+ticket.UploadId.String()+"/complete", nil, &f) == http.StatusOK {
			b.check(s, user, f)
			return
		}
	}
}

func TestTwoFirstPartsAtOnceBeginOneMultipart(t *testing.T) {
	each(t, nil, func(t *testing.T, s *stack) {
		user := s.user()
		b := newBig(70 << 20)
		ticket := b.begin(s, user)
		var wg sync.WaitGroup
		for n := range b.count {
			wg.Go(func() { b.send(s, user, ticket, n+1) })
		}
		wg.Wait()
		b.check(s, user, s.complete(user, ticket))
		if _, err := s.db.Storage().Upload(t.Context(), uuid.New()); err == nil {
			t.Error("an upload that nobody made is found")
		}
	})
}
