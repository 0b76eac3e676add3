// Package queue is the adapter to River: background jobs with retries, on the database that the server has anyway.
//
// The rows of the features say what is due; a River job is only the means to get it done by one worker, with retries and
// backoff. So nothing is lost when a hint is: a sweep enqueues whatever is due, at an interval and after each hint.
// Upkeep that comes again (Task) runs in a queue of its own, enqueued by whichever process leads.
// Nothing is enqueued inside a transaction of gorm (design 01).
package queue
