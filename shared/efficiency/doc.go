// Package efficiency turns the accounting of one Slurm job into numbers that say
// how they were obtained and how much of the job they cover.
//
// It is pure: no files, no network, no clock, no globals. The same code answers
// `ergon explain`, `ergon seff`, the REST API and the server's analysis.
//
// Three rules hold everywhere:
//
//   - Missing is not zero. A number that cannot be computed is a null value with
//     at least one reason. Zero is a measured zero.
//   - Nothing is capped in silence. More than 100 percent is shown as it is, with
//     the reason.
//   - Aggregates are ratios of sums, never means of percentages.
//
// Group sorts accounting rows into jobs, Analyse makes the Report of one job,
// Summarise, HetTotal and AddUp combine reports.
package efficiency
