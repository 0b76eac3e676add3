package slurmfmt

import "strings"

// colKind is the shape of a column's text. It serves only to find where the
// fields of a damaged row begin and end; it is looser than the parsers, so that
// a newer Slurm's words do not turn good rows into bad ones.
type colKind uint8

const (
	colLine  colKind = iota // unknown or wordy (reason): one field without newlines
	colFree                 // free text of a user: may hold the delimiter and newlines
	colID                   // JobID, JobIDRaw
	colTime                 // moment
	colNum                  // number, size or duration
	colTRES                 // name=value list
	colState                // state word
	colExit                 // code:signal
	colName                 // one word: user, account, flags
	colNodes                // host list or "None assigned"
	colPath                 // free text that is empty or an absolute path
	colArgv                 // free text that is empty or a submission command line
)

// free says whether a column may hold the delimiter itself.
func (k colKind) free() bool { return k == colFree || k == colPath || k == colArgv }

// strict says whether the shape is fixed enough to doubt a row that misses it.
func (k colKind) strict() bool {
	return k == colTime || k == colNum || k == colTRES || k == colState || k == colExit
}

// colKinds is keyed by the lower-case name.
var colKinds = map[string]colKind{
	"jobid": colID, "jobidraw": colID,
	"jobname": colFree, "comment": colFree, "admincomment": colFree, "systemcomment": colFree,
	"extra": colFree, "command": colFree, "container": colFree, "stdout": colFree, "stderr": colFree,
	"stdin": colFree, "workdir": colPath, "submitline": colArgv,
	"submit": colTime, "eligible": colTime, "start": colTime, "end": colTime,
	"state": colState, "exitcode": colExit, "derivedexitcode": colExit,
	"nodelist": colNodes, "reqmem": colNum, "timelimit": colNum, "timelimitraw": colNum,
	"elapsed": colNum, "elapsedraw": colNum, "cputime": colNum, "cputimeraw": colNum, "suspended": colNum,
	"totalcpu": colNum, "usercpu": colNum, "systemcpu": colNum, "avecpu": colNum, "mincpu": colNum,
	"reserved": colNum, "planned": colNum, "resvcpu": colNum, "resvcpuraw": colNum,
	"plannedcpu": colNum, "plannedcpuraw": colNum,
	"maxrss": colNum, "averss": colNum, "maxvmsize": colNum, "avevmsize": colNum,
	"maxdiskread": colNum, "maxdiskwrite": colNum, "avediskread": colNum, "avediskwrite": colNum,
	"maxpages": colNum, "avepages": colNum, "consumedenergy": colNum, "consumedenergyraw": colNum,
	"alloccpus": colNum, "allocnodes": colNum, "ncpus": colNum, "nnodes": colNum, "ntasks": colNum,
	"reqcpus": colNum, "reqnodes": colNum, "dbindex": colNum, "uid": colNum, "gid": colNum,
	"associd": colNum, "priority": colNum, "qosraw": colNum, "wckeyid": colNum, "restarts": colNum,
	"user": colName, "account": colName, "partition": colName, "cluster": colName, "qos": colName,
	"group": colName, "reason": colLine, "flags": colName, "maxrssnode": colName, "maxrsstask": colNum,
	"arrayjobid": colNum, "minmemory": colNum, "dependency": colLine,
	"alloctres": colTRES, "reqtres": colTRES,
}

func kindOfColumn(name string) colKind {
	name = strings.ToLower(name)
	if k, ok := colKinds[name]; ok {
		return k
	}
	if strings.HasPrefix(name, "tresusage") {
		return colTRES
	}
	return colLine
}

// fits says whether text has the column's shape.
func (k colKind) fits(s string) bool {
	if s == "" {
		return k != colID
	}
	if k.free() {
		return k.fitsFree(s)
	}
	switch k {
	case colLine:
		return strings.IndexByte(s, '\n') < 0
	case colTRES:
		return strings.IndexByte(s, '=') > 0 && !strings.ContainsAny(s, " \n")
	case colNodes:
		return s == "None assigned" || only(s, &nameBytes)
	default:
		return k.startsWell(s) && only(s, k.bytes())
	}
}

// startsWell looks at what tells a kind apart beyond its bytes.
func (k colKind) startsWell(s string) bool {
	switch k {
	case colID:
		return s[0] >= '1' && s[0] <= '9'
	case colState:
		return s[0] >= 'A' && s[0] <= 'Z'
	case colExit:
		return strings.IndexByte(s, ':') > 0
	default:
		return true
	}
}

// bytes gives what a kind's text may consist of.
func (k colKind) bytes() *byteSet {
	switch k {
	case colID:
		return &idBytes
	case colState:
		return &stateBytes
	case colName:
		return &nameBytes
	default:
		return &wordBytes
	}
}

// fitsFree looks at how free text begins.
func (k colKind) fitsFree(s string) bool {
	if k == colPath {
		return s[0] == '/' || s[0] == '('
	}
	return k != colArgv || startsCommand(s)
}

// byteSet is a set of ASCII bytes.
type byteSet [4]uint32

func (set *byteSet) has(c byte) bool {
	return c < 0x80 && set[c>>5]&(1<<(c&31)) != 0
}

func setOf(chars string) (set byteSet) {
	for i := range len(chars) {
		set[chars[i]>>5] |= 1 << (chars[i] & 31)
	}
	return set
}

const (
	digitChars = "0123456789"
	upperChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	lowerChars = "abcdefghijklmnopqrstuvwxyz"
	alnumChars = digitChars + upperChars + lowerChars
)

var (
	idBytes    = setOf(digitChars + lowerChars + "_[]-,%+.:")
	wordBytes  = setOf(alnumChars + ".:-+?_/()")
	stateBytes = setOf(alnumChars + "_+ ,")
	nameBytes  = setOf(alnumChars + "._-,@$+[]()=:/*%\\")
)

func only(s string, set *byteSet) bool {
	for i := range len(s) {
		if !set.has(s[i]) {
			return false
		}
	}
	return true
}

// startsCommand recognizes a SubmitLine: the argv of sbatch, srun or salloc,
// perhaps with a path before it.
func startsCommand(s string) bool {
	word, _, _ := strings.Cut(s, " ")
	switch word[strings.LastIndexByte(word, '/')+1:] {
	case "sbatch", "srun", "salloc", "scrontab", "ergon", "(null)":
		return true
	}
	return false
}
