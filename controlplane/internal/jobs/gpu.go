package jobs

import (
	"strconv"
	"strings"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// gpus counts the GPUs of an incarnation: from AllocTRES, else from AllocGRES (of the whole job), else ReqGRES (per node).
// A row whose lists of resources name no GPU anywhere had none: 0. Without any such list it is not known.
func gpus(r *slurmfmt.Record, alloc slurmfmt.TRES, nodes *int64) *int64 {
	if n := known(alloc.GPUs()); n != nil {
		return n
	}
	if n, ok := gresGPUs(r.Get("AllocGRES")); ok && n > 0 {
		return &n
	}
	if n, ok := gresGPUs(r.Get("ReqGRES")); ok && n > 0 && alloc.Empty() && nodes != nil {
		return ptr(n * *nodes)
	}
	if !alloc.Empty() || r.Get("AllocGRES") != "" || r.Get("ReqGRES") != "" {
		return ptr(int64(0))
	}
	return nil
}

// gresGPUs adds up the GPUs of a generic resource list: gpu:2, gpu:a100:2, gres:gpu:1, gpu (one), gpu:a100:2(S:0-1).
func gresGPUs(list string) (total int64, ok bool) {
	for item := range strings.SplitSeq(list, ",") {
		item, _, _ = strings.Cut(item, "(")
		parts := strings.Split(strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(item), "gres:"), "gres/"), ":")
		if parts[0] != "gpu" {
			continue
		}
		n, err := strconv.ParseInt(parts[len(parts)-1], 10, 32)
		if err != nil {
			n = 1
		}
		if n < 0 {
			return 0, false
		}
		total, ok = total+n, true
	}
	return total, ok
}
