package queue

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestADailyTaskComesAtItsHourAndOnceADay(t *testing.T) {
	at := daily(3*time.Hour + 17*time.Minute)
	for now, want := range map[string]string{
		"2026-03-01T03:16:59Z":      "2026-03-01T03:17:00Z",
		"2026-03-01T03:17:00Z":      "2026-03-02T03:17:00Z",
		"2026-02-28T23:59:59Z":      "2026-03-01T03:17:00Z",
		"2026-03-01T01:00:00+02:00": "2026-03-01T03:17:00Z", // 23:00 of the day before
	} {
		from, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		if got := at.Next(from).Format(time.RFC3339); got != want {
			t.Errorf("after %s: %s, want %s", now, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		at := daily(rapid.Int64Range(0, int64(24*time.Hour)-1).Draw(t, "at"))
		now := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "now"), 0)
		if wait := at.Next(now).Sub(now); wait <= 0 || wait > 24*time.Hour {
			t.Fatalf("it comes after %s", wait)
		}
	})
}
