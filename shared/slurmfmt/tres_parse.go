package slurmfmt

import (
	"math"
	"strings"
)

// maxTRESItems bounds hostile text; real lists have fewer than twenty parts.
const maxTRESItems = 1024

func parseTRES(s string) TRES {
	if _, word := wordKind(s); word {
		return TRES{}
	}
	t := TRES{items: make([]TRESItem, 0, min(strings.Count(s, ",")+1, maxTRESItems))}
	for part := range strings.SplitSeq(s, ",") {
		t.add(part)
	}
	return t
}

func (t *TRES) add(part string) {
	name, value, ok := strings.Cut(part, "=")
	if !ok || name == "" || len(t.items) == maxTRESItems {
		t.faults++
		return
	}
	if _, twice := t.get(name); twice {
		t.faults++
		return
	}
	t.items = append(t.items, TRESItem{Name: name, Value: value})
}

func (t TRES) get(name string) (value string, ok bool) {
	for i := range t.items {
		if t.items[i].Name == name {
			return t.items[i].Value, true
		}
	}
	return "", false
}

func (t TRES) count(name string) Count {
	v, _ := t.get(name)
	return parseCount(v)
}

func (t TRES) size(name string, unit uint64) Size {
	v, _ := t.get(name)
	return parseSize(v, unit)
}

func (t TRES) duration(name string) Duration {
	v, _ := t.get(name)
	return parseDuration(v)
}

const (
	gpuName   = "gres/gpu"
	gpuPrefix = "gres/gpu:"
)

func (t TRES) gpus() Count {
	if c := t.count(gpuName); c.Kind != Missing {
		return c
	}
	sum := Count{}
	for _, g := range t.gpuTypes() {
		if g.N > math.MaxInt64-sum.N {
			return Count{Kind: Invalid}
		}
		sum = Count{Kind: Known, N: sum.N + g.N}
	}
	return sum
}

func (t TRES) gpuTypes() []GPUType {
	var out []GPUType
	for _, it := range t.items {
		model, ok := strings.CutPrefix(it.Name, gpuPrefix)
		if !ok {
			continue
		}
		if n, ok := parseCount(it.Value).Value(); ok {
			out = append(out, GPUType{Type: model, N: n})
		}
	}
	return out
}
