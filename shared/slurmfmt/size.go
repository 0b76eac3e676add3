package slurmfmt

// Size is an amount of memory or storage in bytes.
type Size struct {
	// Kind is Known, Missing, Unlimited (partition limits) or Invalid.
	Kind Kind
	// Bytes is never negative; valid only when Kind is Known.
	Bytes int64
	// Uncertain marks a value that Slurm itself printed with a trailing "?".
	Uncertain bool
}

// ParseSize reads 20264K, 0.59G, 12431360, 0, 16? with the 1024-based suffixes
// K M G T P E; a bare number counts bytes.
func ParseSize(s string) Size { return parseSize(s, 1) }

// ParseSizeMB is ParseSize for columns whose bare number counts MiB (ReqMem,
// RealMemory, the mem of AllocTRES).
func ParseSizeMB(s string) Size { return parseSize(s, 1<<20) }

// Value gives the bytes; ok is false unless Kind is Known.
func (s Size) Value() (bytes int64, ok bool) { return s.Bytes, s.Kind == Known }

// Count is a whole number such as AllocCPUS, NNodes, NTasks or an energy in J.
type Count struct {
	// Kind is Known, Missing, Unlimited or Invalid.
	Kind Kind
	// N is valid only when Kind is Known.
	N int64
	// Rounded marks a value that Slurm had printed with a lossy unit (1.46K).
	Rounded bool
}

// ParseCount reads a whole number. sacct and squeue print counts that are exact
// multiples of 1024 with a suffix (2K nodes = 2048; CONVERT_NUM_UNIT_EXACT), so
// suffixes are 1024-based here too. Slurm's unset sentinels are Missing.
func ParseCount(s string) Count { return parseCount(s) }

// Value gives the number; ok is false unless Kind is Known.
func (c Count) Value() (n int64, ok bool) { return c.N, c.Kind == Known }

// Number is a decimal number that need not be whole, such as a utilization in percent.
type Number struct {
	// Kind is Known, Missing, Unlimited or Invalid.
	Kind Kind
	// V is never negative; valid only when Kind is Known.
	V float64
}

// ParseNumber reads a decimal number; 1.8e19 and its like (unset) are Missing.
func ParseNumber(s string) Number { return parseNumber(s) }

// Value gives the number; ok is false unless Kind is Known.
func (n Number) Value() (v float64, ok bool) { return n.V, n.Kind == Known }
