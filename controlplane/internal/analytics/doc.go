// Package analytics answers questions about all jobs at once: how much of which resource was used by whom and when.
//
// Hours are counted as Open XDMoD counts wall time: end − start of every incarnation that started and ended, times what it
// had. Every number is a sum over incarnations (rows of accounting), attributed to the moment of their end.
package analytics
