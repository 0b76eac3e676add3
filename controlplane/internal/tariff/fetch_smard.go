package tariff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// backDays is how far back the first fetch goes; older prices are imported from files.
const backDays = 60

// smardWeek is what one file of hours holds.
const smardWeek = 7 * 24 * time.Hour

// loadSMARD reads index_hour.json of a series and the weekly files that may hold something new. A file is asked for again
// until two weeks after its time: values come late and are corrected.
func (f *Fetcher) loadSMARD(ctx context.Context, feed Feed) error {
	base := strings.TrimRight(feed.URL, "/")
	body, _, err := f.get(ctx, base+"/index_hour.json", nil)
	if err != nil {
		return err
	}
	var index struct {
		Timestamps []int64 `json:"timestamps"`
	}
	if err := json.Unmarshal(body, &index); err != nil || len(index.Timestamps) == 0 {
		return errors.New("index_hour.json is not that of SMARD's chart_data")
	}
	since, err := f.since(ctx, feed.Key)
	if err != nil {
		return err
	}
	slices.Sort(index.Timestamps)
	parts := strings.Split(base, "/")
	name := parts[len(parts)-2] + "_" + parts[len(parts)-1] + "_hour_"
	for _, ms := range index.Timestamps {
		if time.UnixMilli(ms).Add(smardWeek).Before(since) {
			continue
		}
		body, _, err := f.get(ctx, fmt.Sprintf("%s/%s%d.json", base, name, ms), nil)
		if err == nil {
			err = f.take(ctx, feed, body)
		}
		if err != nil {
			return fmt.Errorf("the week from %s: %w", time.UnixMilli(ms).UTC().Format(time.DateOnly), err)
		}
	}
	return nil
}

// since is where the fetching goes on: two weeks before the end of what is stored, at most backDays ago.
func (f *Fetcher) since(ctx context.Context, key Key) (time.Time, error) {
	first := f.now().AddDate(0, 0, -backDays)
	stored, err := f.store.Intervals(ctx, key)
	if err != nil {
		return first, fmt.Errorf("reading what is stored: %w", err)
	}
	if len(stored) == 0 {
		return first, nil
	}
	if last := time.Unix(stored[len(stored)-1].To, 0).Add(-2 * smardWeek); last.After(first) {
		return last, nil
	}
	return first, nil
}
