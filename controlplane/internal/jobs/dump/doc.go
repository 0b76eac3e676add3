// Package dump imports history: parsable dumps of sacct with millions of rows, in bounded memory. An import may be
// repeated or interrupted at any time: rows that are stored change nothing.
package dump
