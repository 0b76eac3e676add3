package app

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/repeat"
)

const wish = `{"name":"a.txt","size":3,"sha256":"` + sha256OfABC + `"}`

// sha256 of "abc" (FIPS 180-4, appendix).
const sha256OfABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

func TestThreat_T29_AKeyIsGoodForOneRequest(t *testing.T) { eachWorld(t, aKeyIsGoodForOneRequest) }

func aKeyIsGoodForOneRequest(t *testing.T, w *world) {
	alice, bob := w.person(t, "alice", "user"), w.person(t, "bobby", "user")
	post := func(who person, path, key, body string) reply {
		return w.call(t, request{method: http.MethodPost, path: path, token: who.token, body: body, key: key})
	}
	first := post(alice, "/files/presign/upload", "k1", wish)
	again := post(alice, "/files/presign/upload", "k1", wish)
	if first.status != 201 || again.status != 201 || first.field("upload_id") == "" || first.field("upload_id") != again.field("upload_id") {
		t.Fatalf("%d %s\n%d %s", first.status, first.body, again.status, again.body)
	}
	if again.header.Get("Idempotency-Replayed") != "true" || first.header.Get("Idempotency-Replayed") != "" {
		t.Error("a replay does not say that it is one")
	}
	for name, c := range map[string]struct {
		got    reply
		status int
		code   string
	}{
		"other body":           {post(alice, "/files/presign/upload", "k1", strings.Replace(wish, "a.txt", "b.txt", 1)), 422, "idempotency_key_reused"},
		"same key, other user": {post(bob, "/files/presign/upload", "k1", wish), 201, ""},
		"another route":        {post(alice, "/links/challenges", "k1", `{"cluster":"hpc"}`), 201, ""},
		"secret again":         {post(alice, "/links/challenges", "k1", `{"cluster":"hpc"}`), 409, "secret_already_issued"},
		"key with spaces":      {post(alice, "/links/challenges", "a b", `{"cluster":"hpc"}`), 400, "invalid_request"},
		"refused":              {post(alice, "/links/challenges", "k2", `{"cluster":"nowhere"}`), 404, "not_found"},
		"a token":              {post(alice, "/auth/tokens", "k3", `{"name":"ci","scopes":["jobs:read"],"expires_in_s":3600}`), 201, ""},
		"an enrolment":         {post(alice, "/agents/enrolments", "k4", `{"cluster":"hpc","kind":"user"}`), 201, ""},
		"login takes no key":   {post(person{}, "/auth/login", "k1", `{"username":"alice","password":"`+worldPassword+`"}`), 200, ""},
	} {
		if c.got.status != c.status || c.got.field("code") != c.code {
			t.Errorf("%s: %d %s", name, c.got.status, c.got.body)
		}
	}
	w.loginsTakeNoKey(t)
	if r := post(alice, "/links/challenges", "k2", `{"cluster":"hpc"}`); r.status != 201 {
		t.Errorf("a key of a call without effect is used up: %d %s", r.status, r.body)
	}
	w.nothingSecretKept(t, first.body, again.body)
}

// loginsTakeNoKey: refresh and device act each time, and a key that came with them is not kept.
func (w *world) loginsTakeNoKey(t *testing.T) {
	t.Helper()
	pair, err := w.svc.Login(t.Context(), identity.Credentials{Username: "alice", Password: worldPassword})
	if err != nil {
		t.Fatal(err)
	}
	refresh := func(token string) reply {
		return w.call(t, request{method: http.MethodPost, path: "/auth/refresh", body: `{"refresh_token":"` + token + `"}`, key: "k1"})
	}
	first := refresh(pair.RefreshToken)
	second := refresh(first.field("refresh_token"))
	if first.status != http.StatusOK || second.status != http.StatusOK || first.field("refresh_token") == second.field("refresh_token") {
		t.Errorf("refresh: %d %s, then %d %s", first.status, first.field("code"), second.status, second.field("code"))
	}
	device := request{method: http.MethodPost, path: "/auth/device", body: `{}`, key: "k1"}
	one, two := w.call(t, device), w.call(t, device)
	if one.field("device_code") == "" || one.field("device_code") == two.field("device_code") {
		t.Errorf("device: %d %s, then %d", one.status, one.field("code"), two.status)
	}
	for name, got := range map[string]reply{"refresh": first, "refresh again": second, "device": one, "device again": two} {
		if got.header.Get("Idempotency-Replayed") != "" {
			t.Errorf("%s says that it is a replay", name)
		}
	}
}

func TestThreat_T29_AReplayAnswersWithoutDoingItAgain(t *testing.T) { eachWorld(t, aReplayAnswers) }

func aReplayAnswers(t *testing.T, w *world) {
	alice := w.person(t, "alice", "user")
	up := w.call(t, request{method: http.MethodPost, path: "/files/presign/upload", token: alice.token, body: wish})
	abort := request{method: http.MethodPost, path: "/files/uploads/" + up.field("upload_id") + "/abort", token: alice.token, key: "x1"}
	for range 2 {
		if r := w.call(t, abort); r.status != 204 {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
	token := w.call(t, request{method: http.MethodPost, path: "/auth/tokens", token: alice.token, body: `{"name":"ci","scopes":["jobs:read"],"expires_in_s":3600}`})
	id := token.nested("info", "id")
	revoke := request{method: http.MethodDelete, path: "/auth/tokens/" + id, token: alice.token, key: "x2"}
	for range 2 { // without the key the second one is 404
		if r := w.call(t, revoke); r.status != 204 {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
	revoke.key = ""
	if r := w.call(t, revoke); r.status != 404 {
		t.Errorf("without the key: %d %s", r.status, r.body)
	}
}

func TestThreat_T29_ExportAndDeletionOfTheAccountTakeAKey(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		alice := w.person(t, "alice", "user")
		export := request{method: http.MethodPost, path: "/me/export", token: alice.token, key: "e1"}
		first := w.call(t, export)
		w.exec(t, "UPDATE exports SET status = 'removed'") // long ago: without the key there would be another
		again := w.call(t, export)
		if first.status != 202 || again.status != 202 || again.field("export_id") != first.field("export_id") || again.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%d %s\n%d %s", first.status, first.body, again.status, again.body)
		}
		gone := request{method: http.MethodDelete, path: "/me", token: alice.token, key: "e1"}
		if r := w.call(t, gone); r.status != 202 {
			t.Errorf("another route: %d %s", r.status, r.body)
		}
		if r := w.call(t, gone); r.status != 401 { // nobody is left who could ask; the receipt is in the first answer
			t.Errorf("deleted twice: %d %s", r.status, r.body)
		}
	})
}

const tokenBody = `{"name":"ci","scopes":["jobs:read"],"expires_in_s":3600}`

func TestThreat_T29_WhileTheFirstIsUnderWayARepeatIsTold(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { aRepeatIsTold(t) })
	t.Run("postgres", func(t *testing.T) { aRepeatIsTold(t, onPostgres(t, storetest.PostgresURL(t))...) })
}

func aRepeatIsTold(t *testing.T, environ ...string) {
	gate := &saltGate{open: make(chan struct{}), caller: "identity.newPersonal"}
	deps := testDeps()
	deps.Rand = gate
	w := newWorldWith(t, deps, environ...)
	alice := w.person(t, "alice", "user")
	r := request{method: http.MethodPost, path: "/auth/tokens", token: alice.token, body: tokenBody, key: "k1"}
	gate.closed.Store(true)
	first := make(chan reply, 1)
	go func() { first <- w.call(t, r) }()
	release := sync.OnceFunc(func() { close(gate.open) })
	defer release()
	eventually(t, "the first is under way", func() bool { return gate.held.Load() == 1 })
	for range 2 {
		if got := w.call(t, r); got.status != 409 || got.field("code") != "conflict" || got.header.Get("Retry-After") == "" {
			t.Errorf("meanwhile: %d %s", got.status, got.body)
		}
	}
	release()
	if got := <-first; got.status != 201 {
		t.Errorf("the first: %d %s", got.status, got.body)
	}
	if got := w.call(t, r); got.status != 409 || got.field("code") != "secret_already_issued" {
		t.Errorf("afterwards: %d %s", got.status, got.body)
	}
}

// What a process leaves that dies after the effect and before the record is a call whose lease runs out.
func TestThreat_T29_ACrashedCallIsNotDoneTwice(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		alice := w.person(t, "alice", "user")
		r := request{method: http.MethodPost, path: "/auth/tokens", token: alice.token, body: tokenBody, key: "k1"}
		file := request{method: http.MethodDelete, path: "/files/" + w.store(t, alice.token), token: alice.token, key: "k1"}
		if a, b := w.call(t, r), w.call(t, file); a.status != 201 || b.status != 204 {
			t.Fatalf("%d %s, %d %s", a.status, a.body, b.status, b.body)
		}
		w.exec(t, "UPDATE idempotency SET status = 0, resource_id = '', lease = exp")
		if got := w.call(t, r); got.status != 409 || got.field("code") != "conflict" {
			t.Errorf("before its lease ran out: %d %s", got.status, got.body)
		}
		w.exec(t, "UPDATE idempotency SET lease = (SELECT MIN(created_at) FROM users)")
		if got := w.call(t, r); got.status != 409 || got.field("code") != "secret_already_issued" {
			t.Errorf("a secret: %d %s", got.status, got.body)
		}
		if got := w.call(t, file); got.status != 404 { // it runs again, and finds that there is nothing left
			t.Errorf("a deletion: %d %s", got.status, got.body)
		}
		if n := w.app.count(t, "SELECT COUNT(*) FROM personal_tokens"); n != 1 {
			t.Errorf("%d tokens", n)
		}
	})
}

func (w *world) exec(t *testing.T, statement string) {
	t.Helper()
	if _, err := w.app.store.SQL().ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// A process that dies between the effect and the record leaves a call whose outcome nobody knows.
func TestThreat_T29_ACrashBetweenEffectAndRecord(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		one := repeat.Call{Caller: "user:u1", Route: "presignUpload", KeyHash: "k", Fingerprint: "f"}
		now, lease := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), time.Minute
		begin := func(c repeat.Call, at time.Time) repeat.State {
			r, err := st.BeginCall(t.Context(), c, at, lease, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			return r.State
		}
		other := one
		other.Fingerprint = "g"
		steps := []struct {
			name string
			call repeat.Call
			at   time.Time
			want repeat.State
		}{
			{"first", one, now, repeat.New},
			{"while it is under way", one, now.Add(59 * time.Second), repeat.InFlight},
			{"another request", other, now.Add(59 * time.Second), repeat.Other},
			{"after the crash", one, now.Add(61 * time.Second), repeat.Lost},
			{"while that is under way", one, now.Add(62 * time.Second), repeat.InFlight},
			{"a day later it is forgotten", one, now.Add(2 * time.Hour), repeat.New},
		}
		for _, s := range steps {
			if got := begin(s.call, s.at); got != s.want {
				t.Errorf("%s: %v, want %v", s.name, got, s.want)
			}
		}
		at := now.Add(2 * time.Hour)
		if err := errors.Join(st.ReleaseCall(t.Context(), one, at), nil); err != nil || begin(one, at) != repeat.Lost {
			t.Errorf("released: %v", err)
		}
		if err := st.EndCall(t.Context(), one, repeat.Record{Status: 201, ResourceID: "r1"}); err != nil {
			t.Fatal(err)
		}
		r, err := st.BeginCall(t.Context(), one, at.Add(time.Second), lease, time.Hour)
		if err != nil || r != (repeat.Record{State: repeat.Done, Status: 201, ResourceID: "r1"}) {
			t.Errorf("%+v %v", r, err)
		}
		if err := st.DropCall(t.Context(), one); err != nil || begin(one, at) != repeat.Done {
			t.Errorf("what is done was dropped: %v", err)
		}
	})
}

func TestThreat_T29_OfManyAtOnceOneGetsTheKey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		one := repeat.Call{Caller: "user:u1", Route: "r", KeyHash: "k", Fingerprint: "f"}
		now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		for round, want := range []repeat.State{repeat.New, repeat.Lost} {
			at := now.Add(time.Duration(round) * time.Hour / 2)
			var mu sync.Mutex
			count := map[repeat.State]int{}
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					r, err := st.BeginCall(t.Context(), one, at, time.Minute, time.Hour)
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						t.Error(err)
					}
					count[r.State]++
				})
			}
			wg.Wait()
			if count[want] != 1 || count[repeat.InFlight] != 15 {
				t.Errorf("round %d: %v", round, count)
			}
		}
	})
}
