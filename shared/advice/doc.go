// Package advice recommends what a job should ask for, from earlier runs of the same work.
//
// It is pure: no files, no network, no clock. A recommendation is never below the largest clean peak that was seen, and
// it is refused, with the reason, where the data is thin, tainted or spread without an explanation.
package advice
