// Package track follows the jobs that carry Ergon's tag through squeue and sacct, and hands the accounting of all jobs
// that it may see to the control plane.
//
// Rules (design 02): an answer that is not exit code 0 changes nothing; "not in squeue" is no end; an attempt ends on
// terminal accounting and only after two cycles of squeue did not show it alive; a terminal state never regresses except
// by a requeue, which is a new attempt; nobody's job is ever cancelled.
package track
