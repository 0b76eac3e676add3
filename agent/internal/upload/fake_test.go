package upload

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/agent/internal/helper"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
)

// fakeStore answers presigned PUTs as an S3 server does: it checks the signed digest and refuses a second object.
type fakeStore struct {
	*httptest.Server
	mu      sync.Mutex
	objects map[string][]byte
	puts    int
	// fault, when set, may answer instead.
	fault func(n int, w http.ResponseWriter, r *http.Request) bool
}

func newStore(t *testing.T) *fakeStore {
	s := &fakeStore{objects: map[string][]byte{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *fakeStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.puts++
	n := s.puts
	s.mu.Unlock()
	if s.fault != nil && s.fault(n, w, r) {
		return
	}
	body, err := io.ReadAll(r.Body)
	sum := sha256.Sum256(body)
	if err != nil || r.Header.Get("X-Amz-Checksum-Sha256") != base64.StdEncoding.EncodeToString(sum[:]) {
		answerXML(w, http.StatusBadRequest, "BadDigest")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.objects[r.URL.Path]; there && !strings.Contains(r.URL.Path, "/part/") {
		answerXML(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	s.objects[r.URL.Path] = body
}

func answerXML(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><StringToSign>secret</StringToSign></Error>", code)
}

// fakeTickets is the control plane: one upload for each content of a path.
type fakeTickets struct {
	store *fakeStore
	mu    sync.Mutex
	byID  map[uuid.UUID]*ticketed
	// partSize turns files above it into multipart uploads; refuse names paths that are refused.
	partSize  int64
	refuse    map[string]string
	presigned int   // calls
	asked     []int // entries of each call
	parts     []int // parts of each call
	// single refuses every call for more than one file.
	single bool
	// lose are the codes with which the next completions are refused.
	lose []string
}

type ticketed struct {
	entry  outputs.Entry
	stored bool
}

func newTickets(store *fakeStore) *fakeTickets {
	return &fakeTickets{store: store, byID: map[uuid.UUID]*ticketed{}, partSize: 1 << 20}
}

func (f *fakeTickets) request(path, sum string) outputs.Request {
	raw, _ := hex.DecodeString(sum)
	return outputs.Request{
		URL:     outputs.Secret(f.store.URL + path + "?X-Amz-Signature=secret"),
		Headers: map[string]string{"X-Amz-Checksum-Sha256": base64.StdEncoding.EncodeToString(raw), "If-None-Match": "*"},
	}
}

func (f *fakeTickets) Presign(_ context.Context, _ outputs.JobFiles, entries []outputs.Entry) ([]outputs.Ticket, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.presigned++
	f.asked = append(f.asked, len(entries))
	if len(entries) > 1 && f.single {
		return nil, &outputs.Refusal{Code: "invalid_request", Detail: "one of them is not to my liking"}
	}
	var all []outputs.Ticket
	for _, e := range entries {
		all = append(all, f.ticket(e))
	}
	return all, nil
}

func (f *fakeTickets) ticket(e outputs.Entry) outputs.Ticket {
	if code, no := f.refuse[e.Path]; no {
		return outputs.Ticket{Kind: outputs.TicketRefused, Refusal: &outputs.Refusal{Code: code, Detail: "no room", NeededBytes: e.Size}}
	}
	id := uuid.NewSHA1(uuid.Nil, []byte(e.Path+e.SHA256))
	known, seen := f.byID[id]
	if !seen {
		known = &ticketed{entry: e}
		f.byID[id] = known
	}
	switch {
	case known.stored:
		return outputs.Ticket{Kind: outputs.TicketStored, UploadID: id}
	case e.Size > f.partSize:
		count := (e.Size + f.partSize - 1) / f.partSize
		return outputs.Ticket{Kind: outputs.TicketMultipart, UploadID: id, PartSize: f.partSize, PartCount: int32(count)}
	default:
		put := f.request("/"+id.String(), e.SHA256)
		return outputs.Ticket{Kind: outputs.TicketPut, UploadID: id, Put: &put}
	}
}

func partPath(id uuid.UUID, number int32) string { return fmt.Sprintf("/%s/part/%d", id, number) }

func (f *fakeTickets) Parts(_ context.Context, id uuid.UUID, parts []outputs.Part) ([]outputs.PartTicket, error) {
	f.mu.Lock()
	f.parts = append(f.parts, len(parts))
	f.mu.Unlock()
	var all []outputs.PartTicket
	for _, p := range parts {
		all = append(all, outputs.PartTicket{Number: p.Number, Put: f.request(partPath(id, p.Number), p.SHA256)})
	}
	return all, nil
}

func (f *fakeTickets) Status(_ context.Context, id uuid.UUID) (outputs.UploadStatus, error) {
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	s := outputs.UploadStatus{State: "reserved"}
	for number := int32(1); ; number++ {
		body, there := f.store.objects[partPath(id, number)]
		if !there {
			return s, nil
		}
		sum := sha256.Sum256(body)
		s.Parts = append(s.Parts, outputs.Part{Number: number, Size: int64(len(body)), SHA256: hex.EncodeToString(sum[:])})
	}
}

// Complete verifies as the server does: the stored bytes must be those of the ticket.
func (f *fakeTickets) Complete(ctx context.Context, id uuid.UUID) error {
	status, _ := f.Status(ctx, id)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	if len(f.lose) > 0 {
		code := f.lose[0]
		f.lose = f.lose[1:]
		return &outputs.Refusal{Code: code, Detail: "lost"}
	}
	known := f.byID[id]
	body, there := f.store.objects["/"+id.String()]
	for _, p := range status.Parts {
		body, there = append(body, f.store.objects[partPath(id, p.Number)]...), true
	}
	sum := sha256.Sum256(body)
	if known == nil || !there || hex.EncodeToString(sum[:]) != known.entry.SHA256 {
		return &outputs.Refusal{Code: "checksum_mismatch", Detail: "the stored bytes are not those declared"}
	}
	f.store.objects["/"+id.String()] = body
	known.stored = true
	return nil
}

func (f *fakeTickets) Abort(context.Context, uuid.UUID) error { return nil }

// memoryLedger keeps rows and the history of their states.
type memoryLedger struct {
	mu      sync.Mutex
	rows    map[outputs.FileKey]outputs.FileRow
	history []outputs.FileState
	// crash, when set, fails the nth Advance as a killed process would.
	crash int
}

func (l *memoryLedger) Files(context.Context, uuid.UUID, int32) ([]outputs.FileRow, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var rows []outputs.FileRow
	for _, r := range l.rows {
		rows = append(rows, r)
	}
	return rows, nil
}

func (l *memoryLedger) Advance(_ context.Context, key outputs.FileKey, s outputs.Step) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.crash > 0 && len(l.history)+1 >= l.crash {
		return errCrash
	}
	row := l.rows[key]
	if row.State == outputs.FileVerified && s.To != outputs.FileVerified {
		return fmt.Errorf("the journal has no way from VERIFIED to %s", s.To)
	}
	l.history = append(l.history, s.To)
	row.Key, row.State, row.Reason = key, s.To, s.Reason
	if s.Entry != nil {
		row.Entry = *s.Entry
	}
	if s.UploadID != uuid.Nil {
		row.UploadID = s.UploadID
	}
	if l.rows == nil {
		l.rows = map[outputs.FileKey]outputs.FileRow{}
	}
	l.rows[key] = row
	return nil
}

var errCrash = fmt.Errorf("the process was killed here")

// inProcess runs the helper in a goroutine; confinement is tested where it is made, in spawn.
type inProcess struct{ t *testing.T }

func (s inProcess) Spawn(ctx context.Context, _ outputs.JobFiles) (io.ReadWriteCloser, func(), error) {
	ours, theirs := net.Pipe()
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() { _ = helper.Serve(ctx, theirs, func(outputs.JobFiles) error { return nil }) })
	return ours, func() { cancel(); done.Wait() }, nil
}

// fixture is a job with files, a store, a control plane and a journal.
type fixture struct {
	job     outputs.JobFiles
	dir     string
	store   *fakeStore
	tickets *fakeTickets
	ledger  *memoryLedger
	worker  *Worker
}

func newFixture(t *testing.T, files map[string]string) *fixture {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	store := newStore(t)
	return &fixture{
		job: outputs.JobFiles{JobID: uuid.New(), UID: uint32(os.Getuid()), User: "me", Dirs: outputs.Dirs{Output: dir}},
		dir: dir, store: store, tickets: newTickets(store), ledger: &memoryLedger{},
		worker: New(inProcess{t}, Settings{Backoff: time.Millisecond, Attempts: 4, Deadline: 20 * time.Second}),
	}
}

func (f *fixture) upload(t *testing.T) (map[string]outputs.Entry, error) {
	t.Helper()
	m, err := f.worker.Collect(t.Context(), f.job)
	if err != nil {
		t.Fatal(err)
	}
	m, err = f.worker.Upload(t.Context(), f.job, m, outputs.UploadEnv{Tickets: f.tickets, Ledger: f.ledger})
	byPath := map[string]outputs.Entry{}
	for _, e := range m.Entries {
		byPath[e.Path] = e
	}
	return byPath, err
}

// stored is the store's content by the path of the file.
func (f *fixture) stored() map[string]string {
	out := map[string]string{}
	for id, known := range f.tickets.byID {
		if known.stored {
			out[known.entry.Path] = string(f.store.objects["/"+id.String()])
		}
	}
	return out
}
