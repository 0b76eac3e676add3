package slurmfmt

import (
	"strconv"
	"strings"
)

func parseExitCode(s string) ExitCode {
	if k, ok := wordKind(s); ok {
		return ExitCode{Kind: sizeWord(k)}
	}
	code, signal, ok := strings.Cut(s, ":")
	c, err := strconv.ParseUint(code, 10, 31)
	if !ok || err != nil {
		return ExitCode{Kind: Invalid}
	}
	n, err := strconv.ParseUint(signal, 10, 31)
	if err != nil {
		return ExitCode{Kind: Invalid}
	}
	return ExitCode{Kind: Known, Code: int(c), Signal: int(n)}
}

// String prints code:signal, or "" unless known.
func (e ExitCode) String() string {
	if e.Kind != Known {
		return ""
	}
	return strconv.Itoa(e.Code) + ":" + strconv.Itoa(e.Signal)
}
