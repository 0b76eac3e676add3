package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parseSince reads how far to look back: 30d, 12h, 2w, or a day such as 2026-11-01.
func parseSince(text string, now time.Time) (time.Time, error) {
	if day, err := time.ParseInLocation("2006-01-02", text, now.Location()); err == nil && day.Before(now) {
		return day, nil
	}
	if text != "" {
		unit := map[byte]time.Duration{'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}[text[len(text)-1]]
		n, err := strconv.ParseUint(strings.TrimSpace(text[:len(text)-1]), 10, 16)
		if err == nil && unit > 0 && n > 0 && time.Duration(n)*unit <= maxSince {
			return now.Add(-time.Duration(n) * unit), nil
		}
	}
	return time.Time{}, usageError{fmt.Errorf("--since %q is not understood; write 30d, 12h, 2w or a day such as 2026-11-01 (at most %d days back)",
		text, maxSince/(24*time.Hour))}
}

// maxSince is how long accounting may be looked back at in one call.
const maxSince = 400 * 24 * time.Hour
