package slurmfmt

import (
	"math"
	"strings"
)

// Slurm keeps "per CPU" as the top bit of the megabyte count: bit 31 until 17.02,
// bit 63 since (MEM_PER_CPU in slurm.h). Both leak into printed values.
const (
	memPerCPU32 = uint64(1) << 31
	memPerCPU64 = uint64(1) << 63
)

func parseReqMem(s string) ReqMem {
	if k, ok := wordKind(s); ok {
		return ReqMem{Kind: sizeWord(k)}
	}
	body, scope := cutScope(s)
	if m, ok := leakedReqMem(body, scope); ok {
		return m
	}
	size := parseSize(body, 1<<20)
	switch {
	case size.Kind != Known:
		return ReqMem{Kind: size.Kind}
	case size.Bytes == 0:
		return ReqMem{Kind: Known, Scope: ScopeWholeNode}
	case size.Uncertain:
		return ReqMem{Kind: Known, Bytes: size.Bytes}
	}
	return ReqMem{Kind: Known, Bytes: size.Bytes, Scope: scope}
}

func cutScope(s string) (body string, scope ReqMemScope) {
	switch s[len(s)-1] {
	case 'n':
		return s[:len(s)-1], ScopeNode
	case 'c':
		return s[:len(s)-1], ScopeCPU
	}
	return s, ScopeJob
}

// leakedReqMem takes the flag out of a megabyte count. Bit 31 counts as the flag
// only beside an old suffix (no node and no CPU has 2 PiB); without one the
// number is a job total of Slurm 21.08 or later, where 2 PiB is possible.
func leakedReqMem(body string, scope ReqMemScope) (ReqMem, bool) {
	digits := strings.TrimSuffix(body, "M")
	mb, ok := parsePlain(digits)
	if !ok {
		return ReqMem{}, false
	}
	switch {
	case mb >= memPerCPU64 && mb < noVal64:
		mb -= memPerCPU64
	case scope != ScopeJob && mb >= memPerCPU32 && mb < noVal32:
		mb -= memPerCPU32
	default:
		return ReqMem{}, false
	}
	if mb > math.MaxInt64>>20 {
		return ReqMem{Kind: Invalid, LeakedFlag: true}, true
	}
	if mb == 0 {
		return ReqMem{Kind: Known, Scope: ScopeWholeNode, LeakedFlag: true}, true
	}
	return ReqMem{Kind: Known, Bytes: int64(mb) << 20, Scope: ScopeCPU, LeakedFlag: true}, true
}

func (m ReqMem) total(cpus, nodes int64) Size {
	if m.Kind != Known {
		return Size{Kind: m.Kind}
	}
	switch m.Scope {
	case ScopeJob:
		return Size{Kind: Known, Bytes: m.Bytes}
	case ScopeNode:
		return timesBytes(m.Bytes, nodes)
	case ScopeCPU:
		return timesBytes(m.Bytes, cpus)
	case ScopeWholeNode:
	}
	return Size{}
}

func timesBytes(bytes, n int64) Size {
	if n <= 0 {
		return Size{}
	}
	if bytes > math.MaxInt64/n {
		return Size{Kind: Invalid}
	}
	return Size{Kind: Known, Bytes: bytes * n}
}

// String names the scope for messages.
func (s ReqMemScope) String() string {
	switch s {
	case ScopeJob:
		return "job"
	case ScopeNode:
		return "node"
	case ScopeCPU:
		return "cpu"
	case ScopeWholeNode:
		return "whole_node"
	}
	return "unknown"
}
