// Package slurmfmt reads every text grammar that Slurm's commands print and
// that Ergon relies on: job ids, durations, sizes, TRES lists, states, exit
// codes, times, host lists, whole sacct and squeue dumps, scontrol's key=value
// output and error messages.
//
// The package is pure: it does no I/O beyond a given io.Reader, knows no clock
// and no environment. All input is untrusted. Missing is never zero: every
// value type carries a Kind, and only Kind Known makes its number valid.
package slurmfmt
