// Package jobs keeps the jobs of all clusters: it takes what agents report (events and accounting), decides which job and
// which attempt each report is about, and answers what became of them.
//
// Reports come late, twice and in any order. A job is therefore never patched: the newest accounting row of each
// incarnation and the newest snapshot of each agent's attempt are kept, and everything that is shown is folded from them
// (fold.go). A version of a row only replaces one that knew less (Row.Weight), so the order of arrival does not matter.
//
// Identity follows design 02: a tag in Comment or SubmitLine, else (cluster, JobIDRaw, first known submit time).
package jobs
