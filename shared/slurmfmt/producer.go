package slurmfmt

import (
	"encoding/hex"
	"slices"
	"strings"
)

// Delimiter makes the delimiter for one call of a command. Slurm escapes nothing
// and job names may hold newlines, so whoever knows the delimiter can forge rows of
// other users: take a fresh random nonce (crypto/rand) for each call.
func Delimiter(nonce [8]byte) string { return "~|" + hex.EncodeToString(nonce[:]) + "|~" }

// sacctColumns exist in every version from 22.05 on. StdOut (24.05), Restarts
// (24.11) and Reserved/Planned (renamed) must not be asked for: sacct refuses the
// whole call for one unknown field.
var sacctColumns = [...]string{
	"JobID", "JobIDRaw", "Cluster", "User", "UID", "Account", "Partition", "QOS",
	"State", "ExitCode", "DerivedExitCode", "Submit", "Eligible", "Start", "End", "ElapsedRaw", "Suspended",
	"TimelimitRaw", "CPUTimeRAW", "TotalCPU", "UserCPU", "SystemCPU", "AveCPU",
	"NNodes", "AllocCPUS", "NTasks", "ReqMem", "ReqTRES", "AllocTRES", "NodeList",
	"MaxRSS", "MaxRSSNode", "MaxRSSTask", "AveRSS",
	"TRESUsageInTot", "TRESUsageInMax", "TRESUsageInAve", "TRESUsageInMin", "TRESUsageOutTot",
	"ConsumedEnergyRaw", "DBIndex", "Flags", "Reason",
	"WorkDir", "JobName", "AdminComment", "Comment", "SubmitLine",
}

// SacctColumns lists the fields that SacctArgs asks for.
func SacctColumns() []string { return slices.Clone(sacctColumns[:]) }

// SacctArgs gives the arguments of a sacct call whose output NewReader reads with
// Options{Delimiter: delimiter}. selection is what to list, for example
// "--jobs=1,2" or "--allusers", "--starttime=…". Sizes come in bytes (--noconvert)
// and the header stays on, so that the parser goes by name.
func SacctArgs(delimiter string, selection ...string) []string {
	return append([]string{
		"--parsable2", "--noconvert", "--duplicates", "--delimiter=" + delimiter,
		"--format=" + strings.Join(sacctColumns[:], ","),
	}, selection...)
}

// squeueField is a letter of squeue's --format and the sacct-like name that the
// parser gives it.
type squeueField struct {
	letter byte
	name   string
}

var squeueFields = [...]squeueField{
	{'i', "JobID"},
	{'A', "JobIDRaw"},
	{'F', "ArrayJobID"},
	{'U', "UID"},
	{'u', "User"},
	{'a', "Account"},
	{'P', "Partition"},
	{'q', "QOS"},
	{'T', "State"},
	{'V', "Submit"},
	{'S', "Start"},
	{'e', "End"},
	{'M', "Elapsed"},
	{'l', "Timelimit"},
	{'D', "NNodes"},
	{'C', "AllocCPUS"},
	{'m', "MinMemory"},
	{'N', "NodeList"},
	{'r', "Reason"},
	{'E', "Dependency"},
	{'Z', "WorkDir"},
	{'j', "JobName"},
	{'k', "Comment"},
}

// SqueueColumns names the columns of a call with SqueueArgs. Start is an estimate
// while a job is pending.
func SqueueColumns() []string {
	names := make([]string, len(squeueFields))
	for i, f := range squeueFields {
		names[i] = f.name
	}
	return names
}

// SqueueArgs gives the arguments of a squeue call that is read with
// Options{Columns: SqueueColumns(), Delimiter: delimiter}. All partitions and all
// states that the controller still knows are listed; array tasks that have not
// started stay one row with a set.
func SqueueArgs(delimiter string, selection ...string) []string {
	var b strings.Builder
	for i, f := range squeueFields {
		if i > 0 {
			b.WriteString(delimiter)
		}
		b.WriteString("%" + string(f.letter))
	}
	return append([]string{"--noheader", "--all", "--states=all", "--format=" + b.String()}, selection...)
}

// ScontrolJobArgs asks for one job in the form of several lines: there the paths
// stand alone on their lines, so that spaces in them are safe.
func ScontrolJobArgs(id JobID) []string { return []string{"show", "job", id.Job().String()} }

// CommandEnv gives the environment for Slurm's commands: the caller's without
// what changes their output (SQUEUE_*, SACCT_*, SSTAT_*, SINFO_*, SCONTROL_*,
// SLURM_TIME_FORMAT, SLURM_CLUSTERS, SLURM_BITSTR_LEN, SLURM_JSON, SLURM_YAML, TZ),
// and with times as unix seconds in UTC and array sets unshortened. SLURM_CONF
// stays. The argument is not changed.
func CommandEnv(environ []string) []string {
	out := make([]string, 0, len(environ)+3)
	for _, kv := range environ {
		if name, _, _ := strings.Cut(kv, "="); !changesOutput(name) {
			out = append(out, kv)
		}
	}
	return append(out, "SLURM_TIME_FORMAT=%s", "TZ=UTC", "SLURM_BITSTR_LEN=0")
}

func changesOutput(name string) bool {
	switch name {
	case "SLURM_TIME_FORMAT", "SLURM_CLUSTERS", "SLURM_BITSTR_LEN", "SLURM_JSON", "SLURM_YAML", "TZ":
		return true
	}
	for _, prefix := range []string{"SQUEUE_", "SACCT_", "SSTAT_", "SINFO_", "SCONTROL_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
