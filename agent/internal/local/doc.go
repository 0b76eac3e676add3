// Package local makes reports without a server: from the local sacct, from a dump of sacct, from JSON lines of
// accounting rows, and from HDF5 profiles. It is Level 0 of the design: one static binary that explains a job.
package local
