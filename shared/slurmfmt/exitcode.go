package slurmfmt

// ExitCode is "code:signal" of the columns ExitCode and DerivedExitCode.
type ExitCode struct {
	// Kind is Known, Missing (steps of a failed node have an empty code) or Invalid.
	Kind Kind
	// Code is the exit status; valid only when Kind is Known.
	Code int
	// Signal is the signal's number, or 125, Slurm's mark for out of memory.
	Signal int
}

// signalOOM is what Slurm prints as signal of an OOM kill (SIG_OOM in slurm.h).
const signalOOM = 125

// ParseExitCode reads 3:0, 0:11, 0:125.
func ParseExitCode(s string) ExitCode { return parseExitCode(s) }

// OOM says that Slurm saw an out-of-memory kill. It counts for DerivedExitCode
// too: an OOM in a step that the script ignored is visible only there.
func (e ExitCode) OOM() bool { return e.Kind == Known && e.Signal == signalOOM }

// Success says that the code is known and 0:0.
func (e ExitCode) Success() bool { return e.Kind == Known && e.Code == 0 && e.Signal == 0 }
