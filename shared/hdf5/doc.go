// Package hdf5 reads, in plain Go, the part of the HDF5 file format that Slurm's
// acct_gather_profile/hdf5 plugin and sh5util write: superblock version 0 and 1,
// version 1 object headers, symbol-table groups, attributes, and one-dimensional
// datasets of numbers or of compounds of numbers and strings, stored compact,
// contiguous or in chunks, with the deflate and shuffle filters.
//
// Anything else is refused with ErrUnsupported, never skipped in silence.
//
// Files come from users and are not trusted. No allocation is greater than what
// the size of the file can justify, nothing recurses without a bound, a structure
// cannot be its own descendant, and the total work of a File is limited
// (ErrLimit). Formulas and layouts: "HDF5 File Format Specification Version 3.0".
package hdf5
