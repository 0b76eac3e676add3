// Package packaging tests what is shipped around the programs: systemd units, packages, sample settings, the filter for
// Slurm, and the documents that say how to install them.
package packaging
