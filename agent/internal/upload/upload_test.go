package upload

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ergon-hpc/ergon/agent/internal/helper"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"))
}

func TestFilesReachTheStoreAndTheJournalSaysEachStep(t *testing.T) {
	big := strings.Repeat("0123456789", 300_000) // three parts
	f := newFixture(t, map[string]string{"a": "alpha", "empty": "", "big": big})
	entries, err := f.upload(t)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.stored(); !maps.Equal(got, map[string]string{"a": "alpha", "empty": "", "big": big}) {
		t.Errorf("stored: %d objects", len(got))
	}
	for path, e := range entries {
		if e.Status != outputs.StatusStored {
			t.Errorf("%s: %s %s", path, e.Status, e.Reason)
		}
	}
	for _, row := range f.ledger.rows {
		if row.State != outputs.FileVerified || len(row.Entry.SHA256) != 64 {
			t.Errorf("journal: %+v", row)
		}
	}
}

func TestASecondUploadSendsNothing(t *testing.T) {
	f := newFixture(t, map[string]string{"a": "alpha"})
	for range 2 {
		if _, err := f.upload(t); err != nil {
			t.Fatal(err)
		}
	}
	if f.store.puts != 1 || f.tickets.presigned != 1 {
		t.Errorf("%d PUTs, %d presigns", f.store.puts, f.tickets.presigned)
	}
}

// A kill before any step of the journal, and after the effect of the step before it, must end in one object.
func TestAKillAtAnyStepResumesToOneObject(t *testing.T) {
	big := strings.Repeat("x", 2_500_000)
	for crash := 1; crash <= 12; crash++ {
		f := newFixture(t, map[string]string{"a": "alpha", "big": big})
		f.ledger.crash = crash
		_, err := f.upload(t)
		if crash <= 10 && !errors.Is(err, errCrash) {
			t.Fatalf("step %d: got %v, want the crash", crash, err)
		}
		f.ledger.crash = 0
		if _, err := f.upload(t); err != nil {
			t.Fatalf("after a kill at step %d: %v", crash, err)
		}
		if got := f.stored(); !maps.Equal(got, map[string]string{"a": "alpha", "big": big}) {
			t.Errorf("after a kill at step %d: %d objects", crash, len(got))
		}
	}
}

func TestResumeSendsOnlyThePartsThatAreMissing(t *testing.T) {
	f := newFixture(t, map[string]string{"big": strings.Repeat("x", 3<<20+1)})
	f.store.fault = func(n int, w http.ResponseWriter, _ *http.Request) bool {
		if n == 3 {
			answerXML(w, http.StatusNotImplemented, "NotImplemented")
		}
		return n == 3
	}
	f.worker.settings.Attempts = 1
	if _, err := f.upload(t); err == nil {
		t.Fatal("the fault was swallowed")
	}
	before := f.store.puts
	if _, err := f.upload(t); err != nil {
		t.Fatal(err)
	}
	if sent := f.store.puts - before; sent != 2 {
		t.Errorf("resume sent %d parts, want 2", sent)
	}
}

func TestTemporaryFaultsAreRetriedAndAnExpiredURLIsRenewedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		status  int
		code    string
		times   int
		wantErr bool
		blocked bool // the file is, with its reason
	}{
		"503 twice":            {503, "SlowDown", 2, false, false},
		"503 for ever":         {503, "SlowDown", 1000, true, false},
		"expired once":         {403, "AccessDenied", 1, false, false},
		"denied for ever":      {403, "AccessDenied", 1000, false, true},
		"refused for good":     {400, "EntityTooLarge", 1, false, true},
		"answer lost, present": {500, "InternalError", 1, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, map[string]string{"a": "alpha"})
			f.store.fault = func(n int, w http.ResponseWriter, r *http.Request) bool {
				if n > c.times {
					return false
				}
				if name == "answer lost, present" {
					body, _ := io.ReadAll(r.Body)
					f.store.objects[r.URL.Path] = body
				}
				answerXML(w, c.status, c.code)
				return true
			}
			entries, err := f.upload(t)
			if (err != nil) != c.wantErr {
				t.Fatalf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows a secret: %v", err)
			}
			if e := entries["a"]; (e.Status == outputs.StatusBlocked) != c.blocked || c.blocked && !strings.Contains(e.Reason, c.code) {
				t.Errorf("got %+v", e)
			}
			if !c.wantErr && !c.blocked && f.stored()["a"] != "alpha" {
				t.Error("not stored")
			}
		})
	}
}

func TestAStoreThatIsDownIsAnErrorOfTheJobAndLosesNothing(t *testing.T) {
	f := newFixture(t, map[string]string{"a": "alpha"})
	f.store.Close()
	_, err := f.upload(t)
	store, ok := errors.AsType[*helper.StoreError](err)
	if !ok || store.Status != 0 || strings.Contains(err.Error(), "Signature") {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(f.dir, "a")); err != nil {
		t.Error(err)
	}
}

func TestOneRefusedFileBlocksNoOther(t *testing.T) {
	f := newFixture(t, map[string]string{"a": "alpha", "b": "beta"})
	f.tickets.refuse = map[string]string{"a": "quota_exceeded"}
	entries, err := f.upload(t)
	if err != nil {
		t.Fatal(err)
	}
	if e := entries["a"]; e.Status != outputs.StatusBlocked || !strings.Contains(e.Reason, "quota_exceeded") {
		t.Errorf("a: %+v", e)
	}
	if entries["b"].Status != outputs.StatusStored {
		t.Errorf("b: %+v", entries["b"])
	}
	f.tickets.refuse = nil
	if entries, err = f.upload(t); err != nil || entries["a"].Status != outputs.StatusStored {
		t.Errorf("after room was made: %+v %v", entries["a"], err)
	}
}

// The next job, or the user, writes on into a file that is stored; another file of the round still waits for quota.
func TestAFileThatChangesAfterItWasVerifiedHoldsUpNoOther(t *testing.T) {
	f := newFixture(t, map[string]string{"a": "alpha", "b": "beta"})
	f.tickets.refuse = map[string]string{"b": "quota_exceeded"}
	if _, err := f.upload(t); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, "a"), []byte("of another job"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.tickets.refuse = nil
	entries, err := f.upload(t)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.stored(); !maps.Equal(got, map[string]string{"a": "alpha", "b": "beta"}) {
		t.Errorf("stored %v", got)
	}
	if e := entries["a"]; e.Status != outputs.StatusStored || e.Size != int64(len("alpha")) {
		t.Errorf("a: %+v", e)
	}
}

// A slow link is no hang: as long as one answer after the other comes, the round goes on.
func TestTheDeadlineCountsFromTheLastSignOfLife(t *testing.T) {
	files := map[string]string{}
	for i := range 12 {
		files[string(rune('a'+i))] = strings.Repeat("x", i)
	}
	f := newFixture(t, files)
	f.worker.settings.Deadline, f.worker.settings.Parallel = 3*time.Second, 1 // one answer comes sooner, also on a busy machine
	f.store.fault = func(int, http.ResponseWriter, *http.Request) bool {
		time.Sleep(300 * time.Millisecond)
		return false
	}
	began := time.Now()
	if _, err := f.upload(t); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 3*time.Second || len(f.stored()) != len(files) {
		t.Errorf("%d files in %s: the deadline was not passed", len(f.stored()), took)
	}
}

func TestAHelperThatDoesNotAnswerIsKilled(t *testing.T) {
	f := newFixture(t, map[string]string{"a": "alpha"})
	m, err := f.worker.Collect(t.Context(), f.job)
	if err != nil {
		t.Fatal(err)
	}
	f.worker.settings.Deadline = 100 * time.Millisecond
	f.store.fault = func(_ int, _ http.ResponseWriter, r *http.Request) bool {
		select {
		case <-r.Context().Done():
		case <-time.After(5 * time.Second):
		}
		return true
	}
	_, err = f.worker.Upload(t.Context(), f.job, m, outputs.UploadEnv{Tickets: f.tickets, Ledger: f.ledger})
	if !errors.Is(err, outputs.ErrTimeout) {
		t.Fatalf("got %v", err)
	}
}

// A writer changes the file whenever the store is about to read it: what is stored is what the manifest says, or nothing.
func TestThreat_T05_AFileThatKeepsChangingIsUnstableAndStays(t *testing.T) {
	f := newFixture(t, map[string]string{"a": "alpha", "b": "beta"})
	f.store.fault = func(_ int, _ http.ResponseWriter, r *http.Request) bool {
		if r.ContentLength != 4 {
			_ = os.WriteFile(filepath.Join(f.dir, "a"), []byte("other"+r.URL.Path), 0o600)
		}
		return false
	}
	entries, err := f.upload(t)
	if err != nil {
		t.Fatal(err)
	}
	if e := entries["a"]; e.Status != outputs.StatusUnstable {
		t.Errorf("a: %+v", e)
	}
	if _, kept := f.stored()["a"]; kept {
		t.Error("a changing file was called stored")
	}
	if entries["b"].Status != outputs.StatusStored {
		t.Errorf("b: %+v", entries["b"])
	}
}

func TestAFileThatChangedOnceIsStoredAsItIsNow(t *testing.T) {
	f := newFixture(t, map[string]string{"a": "alpha"})
	f.store.fault = func(n int, _ http.ResponseWriter, _ *http.Request) bool {
		if n == 1 {
			_ = os.WriteFile(filepath.Join(f.dir, "a"), []byte("newer content"), 0o600)
		}
		return false
	}
	entries, err := f.upload(t)
	if err != nil || entries["a"].Status != outputs.StatusStored || f.stored()["a"] != "newer content" {
		t.Errorf("got %+v %v, stored %q", entries["a"], err, f.stored()["a"])
	}
}

func TestAFileThatIsGoneIsMissingAndNoError(t *testing.T) {
	f := newFixture(t, map[string]string{"a": "alpha", "b": "beta"})
	m, err := f.worker.Collect(t.Context(), f.job)
	if err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(f.dir, "a"))
	m, err = f.worker.Upload(t.Context(), f.job, m, outputs.UploadEnv{Tickets: f.tickets, Ledger: f.ledger})
	if err != nil || m.Entries[0].Status != outputs.StatusMissing || m.Entries[1].Status != outputs.StatusStored {
		t.Errorf("got %+v %v", m.Entries, err)
	}
}

func TestAPlanThatDoesNotFitTheFileIsRefused(t *testing.T) {
	for _, ticket := range []outputs.Ticket{
		{PartSize: 0, PartCount: 1},
		{PartSize: 10, PartCount: 9},
		{PartSize: 10, PartCount: 11},
		{PartSize: 1, PartCount: 20_000},
		{PartSize: -5, PartCount: -20},
	} {
		if err := checkPlan(outputs.Entry{Size: 100}, ticket); err == nil {
			t.Errorf("%d × %d was accepted for 100 bytes", ticket.PartCount, ticket.PartSize)
		}
	}
	if err := checkPlan(outputs.Entry{Size: 100}, outputs.Ticket{PartSize: 30, PartCount: 4}); err != nil {
		t.Error(err)
	}
}

func TestProgressEndsAtItsTotals(t *testing.T) {
	f := newFixture(t, map[string]string{"a": "alpha", "big": strings.Repeat("x", 2<<20)})
	m, err := f.worker.Collect(t.Context(), f.job)
	if err != nil {
		t.Fatal(err)
	}
	var seen []outputs.Progress
	env := outputs.UploadEnv{Tickets: f.tickets, Ledger: f.ledger, Progress: func(p outputs.Progress) { seen = append(seen, p) }}
	if _, err := f.worker.Upload(t.Context(), f.job, m, env); err != nil {
		t.Fatal(err)
	}
	last := seen[len(seen)-1]
	if last.Files != 2 || last.FilesTotal != 2 || last.Bytes != 2<<20+5 || last.BytesTotal != last.Bytes {
		t.Errorf("got %+v", last)
	}
	if !slices.IsSortedFunc(seen, func(a, b outputs.Progress) int { return int(a.Bytes - b.Bytes) }) {
		t.Error("bytes went back")
	}
}

func TestTailIsTheEndOfTheStream(t *testing.T) {
	f := newFixture(t, map[string]string{"slurm-1.out": "one\ntwo\nthree\n"})
	f.job.Dirs.Stdout = filepath.Join(f.dir, "slurm-1.out")
	var b strings.Builder
	if err := f.worker.Tail(t.Context(), f.job, outputs.ClassStdout, 6, &b); err != nil || b.String() != "three\n" {
		t.Errorf("got %q %v", b.String(), err)
	}
}

// A file on a broken disk, or one that the store will not have, is blocked by itself.
func TestAPermanentFaultOfOneFileLeavesTheOthersAlone(t *testing.T) {
	faults := map[string]func(t *testing.T, f *fixture) (mend func()){
		"the store refuses it for good": func(_ *testing.T, f *fixture) func() {
			f.store.fault = func(_ int, w http.ResponseWriter, r *http.Request) bool {
				refused := r.ContentLength == int64(len("bad file"))
				if refused {
					answerXML(w, http.StatusBadRequest, "EntityTooLarge")
				}
				return refused
			}
			return func() { f.store.fault = nil }
		},
		"it cannot be read": func(_ *testing.T, f *fixture) func() {
			f.worker.spawner = broken{f.worker.spawner, "bad"}
			return func() { f.worker.spawner = f.worker.spawner.(broken).Spawner }
		},
	}
	for name, harm := range faults {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, map[string]string{"a": "alpha", "bad": "bad file", "c": "gamma", "d": "delta"})
			f.worker.settings.Parallel = 1
			mend := harm(t, f)
			entries, err := f.upload(t)
			if err != nil {
				t.Fatal(err)
			}
			if e := entries["bad"]; e.Status != outputs.StatusBlocked || e.Reason == "" {
				t.Errorf("bad: %+v", e)
			}
			for _, row := range f.ledger.rows {
				if want := map[bool]outputs.FileState{true: outputs.FileBlocked, false: outputs.FileVerified}[row.Key.Path == "bad"]; row.State != want {
					t.Errorf("%s is %s in the journal, want %s", row.Key.Path, row.State, want)
				}
			}
			mend()
			if entries, err = f.upload(t); err != nil || entries["bad"].Status != outputs.StatusStored || len(f.stored()) != 4 {
				t.Errorf("after it was mended: %+v %v", entries["bad"], err)
			}
		})
	}
}

// The store was killed and lost an upload, or the server says so: it is sent again within the same round.
func TestAnUploadThatIsLostIsBegunAnew(t *testing.T) {
	big := strings.Repeat("0123456789", 300_000) // three parts
	for name, harm := range map[string]func(f *fixture){
		"the server says that it has expired":      func(f *fixture) { f.tickets.lose = []string{"upload_expired"} },
		"the server misses what was sent":          func(f *fixture) { f.tickets.lose = []string{"upload_incomplete", "upload_incomplete"} },
		"the store does not know its parts":        func(f *fixture) { f.store.fault = unknownUpload; f.tickets.lose = []string{"upload_expired"} },
		"somebody else has completed it meanwhile": func(f *fixture) { f.tickets.lose = []string{"conflict"} },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, map[string]string{"big": big})
			harm(f)
			entries, err := f.upload(t)
			if err != nil || entries["big"].Status != outputs.StatusStored || f.stored()["big"] != big {
				t.Errorf("got %+v, %v; %d bytes stored", entries["big"], err, len(f.stored()["big"]))
			}
			if len(f.tickets.lose) > 0 {
				t.Errorf("%v was never answered", f.tickets.lose)
			}
		})
	}
}

// unknownUpload answers the first part as a store does that has no such multipart upload.
func unknownUpload(n int, w http.ResponseWriter, _ *http.Request) bool {
	if n == 1 {
		answerXML(w, http.StatusNotFound, "NoSuchUpload")
	}
	return n == 1
}

func TestAnUploadThatIsLostAgainAndAgainIsBlockedWithTheReason(t *testing.T) {
	f := newFixture(t, map[string]string{"a": "alpha"})
	f.tickets.lose = slices.Repeat([]string{"upload_expired"}, 100)
	entries, err := f.upload(t)
	if e := entries["a"]; err != nil || e.Status != outputs.StatusBlocked || !strings.Contains(e.Reason, "upload_expired") {
		t.Errorf("got %+v, %v", e, err)
	}
	if asked := 100 - len(f.tickets.lose); asked != f.worker.settings.Attempts {
		t.Errorf("completed %d times, want %d", asked, f.worker.settings.Attempts)
	}
}
