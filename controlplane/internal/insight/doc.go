// Package insight analyses jobs and keeps their reports: shared/efficiency computes, this package gathers what is known
// of a job (accounting, profiles, facts of the cluster), stores the result and answers from it.
//
// What is due stands in the rows of the jobs (analysis_due). An analysis that finds the same inputs as before changes
// nothing, so it may run any number of times.
package insight
