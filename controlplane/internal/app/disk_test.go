package app

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestADiskThatFillsIsToldOnceAndOnceWhenItHasRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var mu sync.Mutex
		free, broken := uint64(leastFree), error(nil)
		d := disk{path: "/srv/ergon", log: slog.New(slog.NewTextHandler(&log, nil)), free: func(string) (uint64, error) {
			mu.Lock()
			defer mu.Unlock()
			return free, broken
		}}
		ticks := make(chan time.Time)
		go d.watch(t.Context(), ticks)
		look := func(bytes uint64, err error, times int) {
			mu.Lock()
			free, broken = bytes, err
			mu.Unlock()
			for range times {
				ticks <- time.Now()
			}
			synctest.Wait()
		}
		look(leastFree, nil, 3)
		if log.Len() != 0 {
			t.Errorf("there is room, and the log says %s", &log)
		}
		look(leastFree-1, nil, 5)
		if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "level=ERROR") || !strings.Contains(text, "/srv/ergon") || !strings.Contains(text, "space is freed") {
			t.Errorf("full for five looks, and the log says %s", text)
		}
		look(leastFree, nil, 5)
		if text := log.String(); strings.Count(text, "\n") != 2 || !strings.Contains(text, "room again") {
			t.Errorf("there is room again, and the log says %s", text)
		}
		look(leastFree, errors.New("stale file handle"), 2)
		if text := log.String(); strings.Count(text, "\n") != 3 || !strings.Contains(text, "stale") {
			t.Errorf("a directory that cannot be measured: %s", text)
		}
	})
}

func TestRoomIsMeasuredWhereTheDirectoryIs(t *testing.T) {
	if free, err := freeBytes(t.TempDir()); err != nil || free == 0 {
		t.Errorf("%d bytes, %v", free, err)
	}
	if _, err := freeBytes("/does/not/exist"); err == nil {
		t.Error("a directory that does not exist has room")
	}
}
