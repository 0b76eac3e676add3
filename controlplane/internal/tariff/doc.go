// Package tariff keeps what energy costs and what carbon it stands for, over time: it reads files of prices (CSV, SMARD's
// chart_data JSON), merges them into what is stored, and tells what was in force during a job. shared/efficiency does the
// arithmetic.
//
// A time without a value stays without one: nothing is interpolated or carried on.
package tariff
