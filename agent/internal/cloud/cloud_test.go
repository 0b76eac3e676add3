package cloud

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ergon-hpc/ergon/agent/internal/enrol"
	"github.com/ergon-hpc/ergon/agent/internal/journal"
	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/buildinfo"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// server is a control plane at the socket: it checks assertions and tokens as the real one does.
type server struct {
	*httptest.Server
	t       *testing.T
	mu      sync.Mutex
	mux     *http.ServeMux
	key     ed25519.PublicKey
	agent   uuid.UUID
	offset  time.Duration // the server's clock minus this one
	token   string
	grants  int
	revoked atomic.Bool
	fail    atomic.Int32 // answers 503 that many times
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, mux: http.NewServeMux(), agent: uuid.New()}
	s.mux.HandleFunc("POST /agents/enrol", s.enrol)
	s.mux.HandleFunc("POST /agents/token", s.grant)
	s.mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(s.offset).UTC().Format(http.TimeFormat))
		answer(w, 200, api.Version{Version: "test", Api: "1"})
	})
	s.Server = httptest.NewServer(s.mux)
	t.Cleanup(s.Close)
	return s
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	if status >= 400 {
		w.Header().Set("Content-Type", "application/problem+json")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func problem(w http.ResponseWriter, status int, code api.ErrorCode) {
	detail := "words for " + string(code)
	answer(w, status, api.Problem{Code: code, Status: status, Title: "no", Type: "about:blank", Detail: &detail})
}

func (s *server) enrol(w http.ResponseWriter, r *http.Request) {
	var body api.EnrolRequest
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Token != "once" {
		problem(w, 401, "unauthorized")
		return
	}
	key, err := base64.RawURLEncoding.DecodeString(body.PublicKey)
	if err != nil || len(key) != ed25519.PublicKeySize {
		problem(w, 400, "invalid_request")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key = key
	answer(w, 201, api.Agent{Id: s.agent, Cluster: "lab", Kind: api.AgentKindUser, Name: body.Name, CreatedAt: time.Now(), Scopes: []api.AgentScopes{}})
}

func (s *server) grant(w http.ResponseWriter, r *http.Request) {
	var body api.AgentTokenJSONRequestBody
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || s.revoked.Load() {
		problem(w, 401, "unauthorized")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var said struct {
		jwt.RegisteredClaims
		Version string `json:"agent_version"`
	}
	_, err := jwt.ParseWithClaims(body.ClientAssertion, &said, func(*jwt.Token) (any, error) { return s.key, nil },
		jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithAudience("ergon"),
		jwt.WithIssuer(s.agent.String()), jwt.WithSubject(s.agent.String()), jwt.WithLeeway(30*time.Second),
		jwt.WithTimeFunc(func() time.Time { return time.Now().Add(s.offset) }))
	if err != nil {
		s.t.Logf("assertion refused: %v", err)
		problem(w, 401, "unauthorized")
		return
	}
	if said.Version != buildinfo.String() {
		s.t.Errorf("the assertion says version %q, not what runs", said.Version)
	}
	s.grants++
	s.token = fmt.Sprintf("token-%d", s.grants)
	answer(w, 200, api.AccessToken{AccessToken: s.token, TokenType: "Bearer", ExpiresIn: 600, ServerTime: time.Now().Add(s.offset)})
}

// handle serves a route behind the token.
func (s *server) handle(pattern string, h http.HandlerFunc) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		good := r.Header.Get("Authorization") == "Bearer "+s.token && s.token != ""
		s.mu.Unlock()
		switch {
		case !good:
			problem(w, 401, "token_expired")
		case s.fail.Add(-1) >= 0:
			w.Header().Set("Retry-After", "0")
			problem(w, 503, "busy")
		default:
			h(w, r)
		}
	})
}

func (s *server) client(t *testing.T) *Client {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	if _, err := enrol.Register(t.Context(), dir, enrol.Request{
		Server: s.URL, Token: "once", Name: "login1", UID: 1000, User: "alice", Version: "test", Rand: rand.Reader, HTTP: outbound.NewClient(5 * time.Second),
	}); err != nil {
		t.Fatal(err)
	}
	id, err := enrol.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Options{Identity: id, HTTP: outbound.NewClient(5 * time.Second), Audience: "ergon", Now: time.Now, Log: slog.New(slog.DiscardHandler), Retry: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func self(w http.ResponseWriter, _ *http.Request) {
	answer(w, 200, api.AgentSelf{Links: []api.Link{{Uid: 7}}, ServerTime: time.Now()})
}

func TestTokensAreReusedAndReplacedWhenRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.handle("GET /agent/self", self)
	c := s.client(t)
	for range 3 {
		if got, err := c.Self(t.Context()); err != nil || len(got.Links) != 1 {
			t.Fatalf("got %+v, %v", got, err)
		}
	}
	if s.grants != 1 {
		t.Fatalf("%d tokens for three calls", s.grants)
	}
	s.mu.Lock()
	s.token = "rotated"
	s.mu.Unlock()
	if _, err := c.Self(t.Context()); err != nil || s.grants != 2 {
		t.Fatalf("%d tokens, %v", s.grants, err)
	}
	s.revoked.Store(true)
	s.mu.Lock()
	s.token = "gone"
	s.mu.Unlock()
	if _, err := c.Self(t.Context()); !errors.Is(err, ErrRevoked) {
		t.Fatalf("got %v", err)
	}
}

func TestAWrongClockGetsATokenAndNoPresignedURL(t *testing.T) {
	t.Parallel()
	for _, offset := range []time.Duration{-time.Hour, -2 * time.Second, time.Hour} {
		t.Run(offset.String(), func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.offset = offset
			s.handle("GET /agent/self", self)
			s.handle("POST /agent/jobs/{id}/uploads", func(w http.ResponseWriter, _ *http.Request) {
				answer(w, 200, map[string]any{"tickets": []api.UploadTicket{{Status: "stored", Name: "x"}}})
			})
			c := s.client(t)
			if _, err := c.Self(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got, ok := c.Skew(); !ok || (got-offset).Abs() > time.Second {
				t.Fatalf("measured %s, want %s", got, offset)
			}
			_, err := c.Presign(t.Context(), outputs.JobFiles{}, make([]outputs.Entry, 1))
			if far := offset.Abs() > maxSkew; errors.Is(err, ErrClock) != far || !far && err != nil {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// box is an outbox in memory.
type box struct {
	events      []journal.Event
	refused     []int64
	held, taken []int64
}

func (b *box) Pending(_ context.Context, limit int) ([]journal.Event, error) {
	return slices.Clone(b.events[:min(limit, len(b.events))]), nil
}

func (b *box) Delivered(_ context.Context, done []journal.Event) error {
	for _, d := range done {
		b.events = slices.DeleteFunc(b.events, func(e journal.Event) bool { return e.Row == d.Row })
	}
	return nil
}

func (b *box) Held(ctx context.Context, done []journal.Event) error {
	for _, e := range done {
		b.held = append(b.held, e.Row)
	}
	return b.Delivered(ctx, done)
}

func (b *box) Taken(ctx context.Context, done []journal.Event) error {
	for _, e := range done {
		b.taken = append(b.taken, e.Row)
	}
	return b.Delivered(ctx, done)
}

func events(n int, message string) *box {
	b := &box{}
	for i := range n {
		b.events = append(b.events, journal.Event{
			Row: int64(i), ID: uuid.New(), Seq: int64(i), Type: "state", At: time.Now(), Message: message,
			Job: journal.Job{SlurmJobID: "7", Detail: journal.JobDetail{APIState: "RUNNING", Name: strings.Repeat("ü", 600)}},
		})
	}
	return b
}

func TestDrainSendsInOrderAndForgetsWhatWasAnswered(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var got []int64
	largest := 0
	s.handle("POST /agent/events", func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		largest = max(largest, len(data))
		var body api.PostEventsJSONBody
		if err := json.Unmarshal(data, &body); err != nil {
			problem(w, 400, "invalid_request")
			return
		}
		var results []api.EventResult
		for _, e := range body.Events {
			if e.Job.Name != nil && len(*e.Job.Name) > 1024 {
				t.Errorf("a name of %d bytes was sent", len(*e.Job.Name))
			}
			got = append(got, e.Seq)
			results = append(results, api.EventResult{EventId: e.EventId, Status: []api.EventResultStatus{"accepted", "duplicate", "refused"}[e.Seq%3]})
		}
		answer(w, 200, map[string]any{"results": results})
	})
	b := events(1200, strings.Repeat("m", 4000))
	if err := s.client(t).Drain(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if len(b.events) != 0 || len(got) != 1200 || largest > 1<<20 {
		t.Fatalf("%d left, %d sent, largest body %d", len(b.events), len(got), largest)
	}
	for i, seq := range got {
		if seq != int64(i) {
			t.Fatalf("event %d came as number %d", seq, i)
		}
	}
}

func TestDrainKeepsEventsThatWereNotAnsweredFor(t *testing.T) {
	t.Parallel()
	answers := map[string]http.HandlerFunc{
		"error":   func(w http.ResponseWriter, _ *http.Request) { problem(w, 500, "internal") },
		"too few": func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, map[string]any{"results": []any{}}) },
		"other events": func(w http.ResponseWriter, _ *http.Request) {
			answer(w, 200, map[string]any{"results": []api.EventResult{{EventId: uuid.New(), Status: "accepted"}}})
		},
		"html": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
	}
	for name, h := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.handle("POST /agent/events", h)
			b := events(1, "")
			if err := s.client(t).Drain(t.Context(), b); err == nil || len(b.events) != 1 {
				t.Fatalf("%d left, %v", len(b.events), err)
			}
		})
	}
}

func TestAccountingIsCutToTheSizeOfOneCall(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	calls, rows := 0, 0
	s.handle("POST /agent/accounting", func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		var body api.AccountingBatch
		if err := json.Unmarshal(data, &body); err != nil || len(data) > 1<<20 {
			t.Errorf("a body of %d bytes: %v", len(data), err)
		}
		calls, rows = calls+1, rows+len(body.Rows)
		answer(w, 200, api.AccountingResult{})
	})
	many := make([][]string, 3000)
	for i := range many {
		many[i] = []string{"7", strings.Repeat("x", 1000)}
	}
	if err := s.client(t).Accounting(t.Context(), []string{"JobID", "SubmitLine"}, many); err != nil || rows != 3000 || calls < 3 {
		t.Fatalf("%d rows in %d calls, %v", rows, calls, err)
	}
}

func TestAFieldBeyondTheContractIsCutAndStopsNoOtherRow(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var got [][]string
	s.handle("POST /agent/accounting", func(w http.ResponseWriter, r *http.Request) {
		var body api.AccountingBatch
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		got = append(got, body.Rows...)
		answer(w, 200, api.AccountingResult{})
	})
	long := "sbatch --comment=ergon1:x job.sh " + strings.Repeat("é", 60_000)
	rows := [][]string{{"7", "sbatch a"}, {"8", long}, {"9", "sbatch b"}}
	if err := s.client(t).Accounting(t.Context(), []string{"JobID", "SubmitLine"}, rows); err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[0][1] != "sbatch a" || got[2][1] != "sbatch b" {
		t.Fatalf("%d rows", len(got))
	}
	if cut := got[1][1]; len(cut) > maxField || len(cut) < maxField-4 || !strings.HasPrefix(long, cut) {
		t.Errorf("%d bytes were sent", len(cut))
	}
	if rows[1][1] != long {
		t.Error("the caller's rows were changed")
	}
}

func TestTicketsAreTriedAgainAndRefusalsAreNot(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	upload := uuid.New()
	s.handle("POST /agent/jobs/{id}/uploads", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, map[string]any{"tickets": []api.UploadTicket{
			{Status: "put", Name: "a", UploadId: &upload, Put: &api.PresignedRequest{Method: "PUT", Url: "http://127.0.0.1:9/x?X-Amz-Signature=s", Headers: map[string]string{"a": "b"}}},
			{Status: "refused", Name: "b", Problem: &api.Problem{Code: "quota_exceeded", Quota: &api.QuotaProblem{NeededBytes: 9}}},
		}})
	})
	s.handle("POST /files/uploads/{id}/complete", func(w http.ResponseWriter, _ *http.Request) { problem(w, 409, "checksum_mismatch") })
	c := s.client(t)
	s.fail.Store(2)
	tickets, err := c.Presign(t.Context(), outputs.JobFiles{JobID: uuid.New()}, make([]outputs.Entry, 2))
	if err != nil || tickets[0].Put.URL.Reveal() == "" || tickets[1].Refusal.NeededBytes != 9 {
		t.Fatalf("got %+v, %v", tickets, err)
	}
	s.fail.Store(0)
	var refused *outputs.Refusal
	if err := c.Complete(t.Context(), upload); !errors.As(err, &refused) || refused.Code != "checksum_mismatch" {
		t.Fatalf("got %v", err)
	}
}

// `ergon status` asks for the skew, and is asked most when the server hangs.
func TestTheSkewIsToldWhileTheServerHangs(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.client(t)
	c.tokens.mu.Lock() // as a fetch that waits for the server does
	defer c.tokens.mu.Unlock()
	done := make(chan struct{})
	go func() { c.Skew(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("the skew waits for the server")
	}
}

func TestAJobThatTheServerDoesNotKnowYetIsNoRefusal(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.handle("POST /agent/jobs/{id}/uploads", func(w http.ResponseWriter, _ *http.Request) { problem(w, 404, api.NotFound) })
	_, err := s.client(t).Presign(t.Context(), outputs.JobFiles{JobID: uuid.New()}, make([]outputs.Entry, 1))
	var refused *outputs.Refusal
	if !errors.Is(err, ErrJobUnknown) || errors.As(err, &refused) {
		t.Fatalf("got %v", err)
	}
}

func TestTicketsOfAHostileServerAreRefused(t *testing.T) {
	t.Parallel()
	upload := uuid.New()
	put := func(url string) api.UploadTicket {
		return api.UploadTicket{Status: "put", UploadId: &upload, Put: &api.PresignedRequest{Method: "PUT", Url: url}}
	}
	size := int64(-1)
	count := int32(3)
	hostile := map[string][]api.UploadTicket{
		"plain http elsewhere": {put("http://169.254.169.254/x?X-Amz-Signature=s")},
		"a file":               {put("file:///etc/passwd")},
		"user info":            {put("https://a:b@store/x")},
		"no URL":               {{Status: "put", UploadId: &upload}},
		"unknown status":       {{Status: "exec"}},
		"negative part size":   {{Status: "multipart", UploadId: &upload, PartSize: &size, PartCount: &count}},
		"too many":             {{Status: "stored"}, {Status: "stored"}},
		"none":                 {},
	}
	for name, tickets := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.handle("POST /agent/jobs/{id}/uploads", func(w http.ResponseWriter, _ *http.Request) {
				answer(w, 200, map[string]any{"tickets": tickets})
			})
			_, err := s.client(t).Presign(t.Context(), outputs.JobFiles{}, make([]outputs.Entry, 1))
			if err == nil || strings.Contains(err.Error(), "Signature") {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func (b *box) Refused(_ context.Context, e journal.Event) error {
	b.refused = append(b.refused, e.Seq)
	b.events = slices.DeleteFunc(b.events, func(o journal.Event) bool { return o.Row == e.Row })
	return nil
}

func TestAnEventThatTheServerCannotReadHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 413, 422} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			var got []int64
			s.handle("POST /agent/events", func(w http.ResponseWriter, r *http.Request) {
				var body api.PostEventsJSONBody
				if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
					t.Error(err)
				}
				if slices.ContainsFunc(body.Events, func(e api.AgentEvent) bool { return e.Seq == 17 || e.Seq == 99 }) {
					problem(w, status, "invalid_request")
					return
				}
				var results []api.EventResult
				for _, e := range body.Events {
					got = append(got, e.Seq)
					results = append(results, api.EventResult{EventId: e.EventId, Status: "accepted"})
				}
				answer(w, 200, map[string]any{"results": results})
			})
			b := events(100, "private words")
			c := s.client(t)
			var log bytes.Buffer
			c.opt.Log = slog.New(slog.NewTextHandler(&log, nil))
			if err := c.Drain(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			if len(got) != 98 || !slices.IsSorted(got) || !slices.Equal(b.refused, []int64{17, 99}) || len(b.events) != 0 {
				t.Fatalf("%d sent, set aside %v, %d left", len(got), b.refused, len(b.events))
			}
			if strings.Contains(log.String(), "private words") || strings.Count(log.String(), "set aside") != 2 {
				t.Errorf("the log says\n%s", log.String())
			}
		})
	}
}

func TestAServerThatReadsNothingIsNotAskedForEveryEvent(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	asked := 0
	s.handle("POST /agent/events", func(w http.ResponseWriter, _ *http.Request) { asked++; problem(w, 400, "invalid_request") })
	b := events(1000, "")
	if err := s.client(t).Drain(t.Context(), b); err == nil || asked > 300 || len(b.refused) != maxAside {
		t.Fatalf("asked %d times, %d set aside, %v", asked, len(b.refused), err)
	}
}

func TestARowThatTheServerCannotReadIsLeftOutAlone(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	got := map[string]bool{}
	s.handle("POST /agent/accounting", func(w http.ResponseWriter, r *http.Request) {
		var body api.AccountingBatch
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		if slices.ContainsFunc(body.Rows, func(row []string) bool { return row[1] == "bad" }) {
			problem(w, 422, "invalid_request")
			return
		}
		for _, row := range body.Rows {
			got[row[0]] = true
		}
		answer(w, 200, api.AccountingResult{})
	})
	var rows [][]string
	for i := range 3000 {
		row := []string{strconv.Itoa(i), "good"}
		if i >= 10 && i < 110 || i == 2999 { // a whole array, and one at the end
			row[1] = "bad"
		}
		rows = append(rows, row)
	}
	if err := s.client(t).Accounting(t.Context(), []string{"JobID", "SubmitLine"}, rows); err != nil {
		t.Fatal(err)
	}
	if err := s.client(t).Accounting(t.Context(), []string{"JobID", "SubmitLine"}, [][]string{{"a", "bad"}, {"b", "bad"}, {"c", "good"}}); err != nil || !got["c"] {
		t.Fatalf("a few rows: %v", err)
	}
	delete(got, "c")
	if err := s.client(t).Accounting(t.Context(), []string{"JobID", "SubmitLine"}, [][]string{{"d", "bad"}}); err != nil {
		t.Fatalf("a lone bad row is sent again for ever: %v", err)
	}
	if len(got) != 3000-101 || got["10"] || got["109"] || !got["9"] || !got["110"] {
		t.Fatalf("%d rows were taken", len(got))
	}
}

func TestNoRowIsGivenUpWhileTheServerTakesNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ status, rows, most int }{
		"unreadable, many": {400, 3000, maxUnread + 1}, "unreadable, one": {400, 1, 2}, "unreadable, two": {400, 2, 4}, "another fault": {403, 3000, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			asked := 0
			s.handle("POST /agent/accounting", func(w http.ResponseWriter, _ *http.Request) { asked++; problem(w, c.status, "invalid_request") })
			rows := make([][]string, c.rows)
			for i := range rows {
				rows[i] = []string{"7"}
			}
			if err := s.client(t).Accounting(t.Context(), []string{"JobID"}, rows); err == nil || asked > c.most {
				t.Fatalf("asked %d times, %v", asked, err)
			}
		})
	}
}

func TestASnapshotKeepsTheLimitsOfTheContract(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 5000)
	got := wireJob(journal.Job{SlurmJobID: long, JobIDRaw: long, User: long, Detail: journal.JobDetail{
		SlurmState: long, Name: long, Account: long, Partition: long, QOS: long, Reason: long, NodeList: long,
	}})
	for name, c := range map[string]struct {
		text  string
		limit int
	}{
		"slurm_job_id": {got.SlurmJobId, 128}, "job_id_raw": {got.JobIdRaw, 32}, "unix_user": {got.UnixUser, 64}, "slurm_state": {got.SlurmState, 64},
		"name": {*got.Name, 1024}, "account": {*got.Account, 256}, "partition": {*got.Partition, 256}, "qos": {*got.Qos, 256},
		"reason": {*got.Reason, 1024}, "node_list": {*got.NodeList, 4096},
	} {
		if len(c.text) == 0 || len(c.text) > c.limit || !utf8.ValidString(c.text) {
			t.Errorf("%s: %d bytes, at most %d", name, len(c.text), c.limit)
		}
	}
}

func TestWhatAnotherAgentReportsIsToldApartFromWhatWasTaken(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	said := []api.EventResultStatus{"accepted", "held", "accepted", "duplicate", "refused", "held"}
	var told []bool
	s.handle("POST /agent/events", func(w http.ResponseWriter, r *http.Request) {
		var body api.PostEventsJSONBody
		_ = json.NewDecoder(r.Body).Decode(&body)
		results := []api.EventResult{}
		for i, e := range body.Events {
			results = append(results, api.EventResult{EventId: e.EventId, Status: said[i]})
			told = append(told, e.Told != nil && *e.Told)
		}
		answer(w, 200, map[string]any{"results": results})
	})
	b := events(len(said), "")
	b.events[2].Job.Detail.Foreign, b.events[3].Job.Detail.Foreign, b.events[5].Job.Detail.Told = true, true, true
	if err := s.client(t).Drain(t.Context(), b); err != nil || len(b.events) != 0 {
		t.Fatalf("%d are left, %v", len(b.events), err)
	}
	if !slices.Equal(b.held, []int64{1, 5}) || !slices.Equal(b.taken, []int64{2}) {
		t.Errorf("held %v, taken %v", b.held, b.taken)
	}
	if !slices.Equal(told, []bool{false, false, false, false, false, true}) {
		t.Errorf("told %v", told)
	}
}
