package storetest

import (
	"net/http"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// openLies: a PUT for clients that say nothing of the content binds the rest all the same: key, method, time, and that
// nothing is overwritten. As nothing in it forbids a copy source, the store must: by refusing unsigned headers, or because the
// identity that signed cannot read.
func (s Suite) openLies(t *testing.T) {
	victim, key, foreign := s.key(t), s.key(t), s.key(t)
	s.put(t, victim, []byte(othersSecret))
	signed := s.signOpen(t, key, urlLife)
	bucket := bucketPath(t, signed, key)
	lies := append(
		urlLies(bucket+victim, bucket+foreign),
		lie{"may overwrite", without("If-None-Match")},
		lie{"overwrites a certain one", header("If-None-Match", `"x"`)},
		lie{"as a part", both(query("partNumber", "1"), query("uploadId", "x"))},
		lie{"as a multipart", both(query("uploads", ""), func(r *http.Request) { r.Method = http.MethodPost })},
	)
	for _, l := range lies {
		t.Run(l.name, func(t *testing.T) {
			refused(t, signed, l.change)
			s.absent(t, key)
			s.absent(t, foreign)
		})
	}
	t.Run("expired", func(t *testing.T) {
		short := s.signOpen(t, key, time.Second)
		time.Sleep(2100 * time.Millisecond)
		refused(t, short, nil)
		s.absent(t, key)
	})
	if status, text := Send(t, signed, []byte(truth), nil); status != http.StatusOK {
		t.Errorf("the truth afterwards: %d: %s", status, text)
	}
	for k, want := range map[string]string{key: truth, victim: othersSecret} {
		if got := s.read(t, k); string(got) != want {
			t.Errorf("an object now holds %q, want %q", got, want)
		}
	}
}

func (s Suite) signOpen(t *testing.T, key string, lifetime time.Duration) storage.Presigned {
	t.Helper()
	signed, err := s.Store.SignOpenPut(t.Context(), key, lifetime)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// openReplay: what came first stays, whatever another content is sent with the same URL.
func (s Suite) openReplay(t *testing.T) {
	key := s.key(t)
	signed := s.signOpen(t, key, urlLife)
	wantOneOfMany(t, signed, []byte(truth))
	if status, _ := Send(t, signed, []byte(falsehood), nil); status != http.StatusPreconditionFailed {
		t.Errorf("another content answers %d, want 412", status)
	}
	if got := s.read(t, key); string(got) != truth {
		t.Errorf("it now holds %q", got)
	}
}
