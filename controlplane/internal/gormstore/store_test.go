package gormstore_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"
	"pgregory.net/rapid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
)

type cluster struct {
	ID           string
	Name         string
	SlurmVersion string
	Facts        string
	CreatedAt    gormstore.Time
}

type enrolment struct {
	TokenHash string `gorm:"primaryKey"`
	ClusterID string
	Kind      string
	Exp       gormstore.Time
	UsedAt    *gormstore.Time
	CreatedAt gormstore.Time
}

func insert(t *testing.T, s *gormstore.Store, row any) error {
	t.Helper()
	return s.Tx(t.Context(), func(tx *gorm.DB) error { return tx.Create(row).Error })
}

func TestTimesComeBackAndCompareAsTimes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		if err := insert(t, s, &cluster{ID: "c", Name: "c", Facts: "{}", CreatedAt: 1}); err != nil {
			t.Fatal(err)
		}
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			us := rapid.Int64Range(-1e15, 4e15).Draw(rt, "microseconds")
			n++
			at := gormstore.Time(us)
			id := rapid.StringMatching(`[a-z]{24}`).Draw(rt, "id")
			if err := insert(t, s, &enrolment{TokenHash: id, ClusterID: "c", Kind: "user", Exp: at, CreatedAt: at}); err != nil {
				rt.Fatal(err)
			}
			var got []enrolment
			err := s.Tx(context.Background(), func(tx *gorm.DB) error {
				return tx.Where("token_hash = ? AND exp >= ? AND exp < ?", id, at, at+1).Find(&got).Error
			})
			if err != nil || len(got) != 1 {
				rt.Fatalf("found %d rows at exactly %d µs: %v", len(got), us, err)
			}
			if got[0].Exp != at || got[0].UsedAt != nil {
				rt.Fatalf("got %d and %v, want %d and nil", got[0].Exp, got[0].UsedAt, at)
			}
		})
		if n == 0 {
			t.Fatal("nothing was checked")
		}
	})
}

func TestNullableTimeIsUpdatedByMap(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		if err := insert(t, s, &cluster{ID: "c", Name: "c", Facts: "{}"}); err != nil {
			t.Fatal(err)
		}
		if err := insert(t, s, &enrolment{TokenHash: "h", ClusterID: "c", Kind: "user"}); err != nil {
			t.Fatal(err)
		}
		at := gormstore.At(time.Date(2026, 2, 3, 4, 5, 6, 7000, time.FixedZone("x", 3600)))
		var got enrolment
		err := s.Tx(t.Context(), func(tx *gorm.DB) error {
			if err := tx.Model(&enrolment{}).Where("token_hash = ?", "h").Updates(map[string]any{"used_at": at}).Error; err != nil {
				return err
			}
			return tx.Take(&got, "token_hash = ?", "h").Error
		})
		if err != nil || got.UsedAt == nil || *got.UsedAt != at {
			t.Errorf("used_at %v, want %v: %v", got.UsedAt, at, err)
		}
	})
}

func TestDatabaseErrorsCarryCodes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		if err := insert(t, s, &cluster{ID: "c", Name: "one", Facts: "{}"}); err != nil {
			t.Fatal(err)
		}
		cases := map[string]struct {
			err  error
			want apperr.Code
		}{
			"second row under a unique name": {insert(t, s, &cluster{ID: "d", Name: "one", Facts: "{}"}), apperr.AlreadyExists},
			"second row under a primary key": {insert(t, s, &cluster{ID: "c", Name: "two", Facts: "{}"}), apperr.AlreadyExists},
			"row without its parent":         {insert(t, s, &enrolment{TokenHash: "h", ClusterID: "nowhere", Kind: "user"}), apperr.Conflict},
			"no row": {s.Tx(t.Context(), func(tx *gorm.DB) error {
				return tx.Take(&cluster{}, "id = ?", "none").Error
			}), apperr.NotFound},
			"own code passes": {s.Tx(t.Context(), func(*gorm.DB) error {
				return apperr.New(apperr.Gone, "over")
			}), apperr.Gone},
			"anything else is internal": {s.Tx(t.Context(), func(*gorm.DB) error { return errors.New("x") }), apperr.Internal},
		}
		for name, c := range cases {
			if got := apperr.CodeOf(c.err); c.err == nil || got != c.want {
				t.Errorf("%s: %v (%s), want %s", name, c.err, got, c.want)
			}
		}
	})
}

func TestFailedTransactionLeavesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		boom := errors.New("boom")
		err := s.Tx(t.Context(), func(tx *gorm.DB) error {
			if err := tx.Create(&cluster{ID: "c", Name: "c", Facts: "{}"}).Error; err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatal(err)
		}
		var n int64
		if err := s.Tx(t.Context(), func(tx *gorm.DB) error { return tx.Model(&cluster{}).Count(&n).Error }); err != nil || n != 0 {
			t.Errorf("%d rows, %v", n, err)
		}
	})
}

// A writer that waits behind others must get its turn: with polling alone SQLite answers "database is locked".
func TestParallelWritersAllCommit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		var wg sync.WaitGroup
		errs := make(chan error, 32)
		for i := range 32 {
			wg.Go(func() {
				id := string(rune('A'+i%26)) + string(rune('0'+i/26))
				errs <- insert(t, s, &cluster{ID: id, Name: id, Facts: "{}"})
			})
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			if err != nil {
				t.Error(err)
			}
		}
	})
}

func TestWaitingForTheWriterEndsWithTheContext(t *testing.T) {
	s := storetest.SQLite(t)
	held, release := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() {
		done <- s.Tx(context.Background(), func(*gorm.DB) error { close(held); <-release; return nil })
	}()
	<-held
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Tx(ctx, func(*gorm.DB) error { return nil }); !apperr.Is(err, apperr.Busy) {
		t.Errorf("got %v, want busy", err)
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestMigrationsAreRepeatableAndChecked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		if err := s.CheckMigrated(t.Context()); err != nil {
			t.Error(err)
		}
		again, err := s.Migrate(t.Context())
		if err != nil || len(again) != 0 {
			t.Errorf("second run applied %v: %v", again, err)
		}
	})
}

func TestAnEmptyDatabaseSaysWhatToRun(t *testing.T) {
	s, err := gormstore.Open(t.Context(), gormstore.Config{Path: t.TempDir() + "/x y?%.db"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.CheckMigrated(t.Context())
	if e, ok := errors.AsType[*apperr.Error](err); !ok || e.Hint == "" {
		t.Errorf("got %v, want a hint", err)
	}
}

func TestABadURLIsNotQuoted(t *testing.T) {
	_, err := gormstore.Open(t.Context(), gormstore.Config{URL: "postgres://u:hunter2@[bad"})
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Fatal("the URL was taken")
	}
	if got := err.Error(); strings.Contains(got, "hunter2") {
		t.Errorf("the password stands in %q", got)
	}
}
