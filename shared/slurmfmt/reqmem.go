package slurmfmt

// ReqMem is the decoded ReqMem column.
type ReqMem struct {
	// Kind is Known, Missing or Invalid.
	Kind Kind
	// Bytes is the amount per Scope; 0 with ScopeWholeNode.
	Bytes int64
	// Scope says what Bytes is per.
	Scope ReqMemScope
	// LeakedFlag says that the number carried the MEM_PER_CPU bit (0x80000000),
	// which Slurm should have removed before printing.
	LeakedFlag bool
}

// ReqMemScope says what a ReqMem amount is per.
type ReqMemScope uint8

// What a ReqMem amount is per. Slurm before 21.08 writes a suffix n or c; later
// versions print the total of the job without one.
const (
	ScopeJob ReqMemScope = iota + 1
	ScopeNode
	ScopeCPU
	// ScopeWholeNode: --mem=0, all memory of each node; only AllocTRES knows how
	// much that was.
	ScopeWholeNode
)

// ParseReqMem reads 600M, 2Gn, 4Gc, 0, and 2147486648Mn (0x80000000 + 3000 MB
// per CPU).
func ParseReqMem(s string) ReqMem { return parseReqMem(s) }

// Total gives the memory of the whole job in bytes and how it was computed. cpus
// and nodes are the allocated counts and are used only where the scope needs
// them; a needed count that is not positive, and a whole-node request, give Missing.
func (m ReqMem) Total(cpus, nodes int64) (Size, ReqMemScope) { return m.total(cpus, nodes), m.Scope }
