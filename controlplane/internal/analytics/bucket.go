package analytics

import "time"

// Jobs that are kept no longer stay as sums (usage_sums): per cluster, Slurm account and bucket of time. A bucket is a month of UTC
// without its edges. Within reach of a month's first second, where months of other zones begin, each quarter of an hour is a
// bucket of its own. So every bucket lies in one month of any zone, and usage by month or year is what it was.
const (
	easternReach = 14 * time.Hour // UTC+14 begins its months so long before UTC
	westernReach = 12 * time.Hour
)

// Bucket gives the quarters of an hour since 1970 from (inclusive) to (exclusive) that a quarter is summed with.
func Bucket(quarter int64) (from, to int64) {
	t := time.Unix(quarter*QuarterS, 0).UTC()
	begin := MonthStart(t).Add(westernReach)
	end := MonthStart(t).AddDate(0, 1, 0).Add(-easternReach)
	if t.Before(begin) || !t.Before(end) {
		return quarter, quarter + 1
	}
	return begin.Unix() / QuarterS, end.Unix() / QuarterS
}

// MonthStart is the first second of a month of UTC.
func MonthStart(t time.Time) time.Time {
	y, m, _ := t.UTC().Date()
	return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
}
