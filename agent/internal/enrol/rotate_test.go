package enrol

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
)

func enrolled(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	e := Request{Server: newServer(t).URL, Token: "once", Name: "n", UID: -1, Rand: rand.Reader, HTTP: outbound.NewClient(5 * time.Second)}
	if _, err := Register(t.Context(), dir, e); err != nil {
		t.Fatal(err)
	}
	return dir
}

func begun(t *testing.T, dir string) *Rotation {
	t.Helper()
	r, err := BeginRotation(dir, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Release)
	return r
}

func TestARotationThatWasInterruptedGoesOnWithTheSameKey(t *testing.T) {
	t.Parallel()
	dir := enrolled(t)
	first := begun(t, dir)
	first.Release()
	if id, err := Load(dir); err != nil || !id.key.Equal(first.Old.key) || first.New.key.Equal(first.Old.key) {
		t.Fatalf("the old key must count until the server has answered: %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, nextKeyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	second := begun(t, dir)
	if !second.New.key.Equal(first.New.key) {
		t.Fatal("the server may know the first new key, and it is gone")
	}
	if err := second.Finish(); err != nil {
		t.Fatal(err)
	}
	if id, err := Load(dir); err != nil || !id.key.Equal(first.New.key) || id.AgentID != first.Old.AgentID {
		t.Fatalf("got %+v %v", id, err)
	}
	if _, err := os.Stat(filepath.Join(dir, nextKeyFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the next key is still there: %v", err)
	}
}

func TestOnlyAnInterruptedRotationIsResumed(t *testing.T) {
	t.Parallel()
	dir := enrolled(t)
	if _, err := ResumeRotation(dir); !errors.Is(err, ErrNoRotation) {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, nextKeyFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("looking for one made a key: %v", err)
	}
	first := begun(t, dir)
	if _, err := ResumeRotation(dir); err == nil || errors.Is(err, ErrNoRotation) {
		t.Errorf("one that is under way: %v", err)
	}
	first.Release()
	r, err := ResumeRotation(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if !r.New.key.Equal(first.New.key) || !r.Old.key.Equal(first.Old.key) {
		t.Error("it goes on with other keys")
	}
	if _, err := ResumeRotation(t.TempDir()); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("where nobody is enrolled: %v", err)
	}
}

func TestTwoRotationsAtOnceAndNoEnrolmentAreRefused(t *testing.T) {
	t.Parallel()
	dir := enrolled(t)
	begun(t, dir)
	if _, err := BeginRotation(dir, rand.Reader); err == nil || errors.Is(err, ErrNotEnrolled) {
		t.Errorf("got %v", err)
	}
	for _, empty := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		if _, err := BeginRotation(empty, rand.Reader); !errors.Is(err, ErrNotEnrolled) {
			t.Errorf("got %v", err)
		}
	}
}
