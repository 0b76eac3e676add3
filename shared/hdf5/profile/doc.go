// Package profile reads the files of Slurm's acct_gather_profile/hdf5 plugin,
// one per node and step (`<jobid>_<step>_<node>.h5`) or merged by sh5util
// (`job_<jobid>.h5`), into typed time series with units in their names.
//
// Values stay as Slurm wrote them, only their units change (KiB and MiB become
// bytes) and Slurm's "not set" numbers become NaN. Repeated rows, gaps, zero
// rows at the start and doubtful counters are left in place; Dedup, Gaps,
// FirstNonZero and TrapezoidEnergy are there for whoever computes with them.
//
// A time series is aligned with others by EpochS, never by StartTime, which is
// local time of the node without a zone.
package profile
