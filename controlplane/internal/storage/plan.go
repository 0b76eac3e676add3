package storage

// Sizes of transfers, in bytes. S3 allows parts of 5 MiB to 5 GiB, 10 000 of them, 5 TiB in all (AWS S3 User Guide,
// "Amazon S3 multipart upload limits").
const (
	SingleMaxBytes = 64 << 20
	MaxObjectBytes = 5 << 40

	firstPartBytes = 16 << 20
	lastPartBytes  = 1 << 30
	pleasantParts  = 1000
)

// Plan says how an object is sent: in one PUT (the zero Plan), or in Count parts of PartBytes, the last of which is the rest.
type Plan struct {
	PartBytes int64
	Count     int32
}

// Multipart reports whether it is sent in parts.
func (p Plan) Multipart() bool { return p.Count > 0 }

// PlanFor chooses: one PUT up to SingleMaxBytes; else parts of 16 MiB, doubled until there are at most 1000 or they reach
// 1 GiB, which keeps the largest object at 5120 parts.
func PlanFor(sizeBytes int64) Plan {
	if sizeBytes <= SingleMaxBytes {
		return Plan{}
	}
	part := int64(firstPartBytes)
	for part < lastPartBytes && partCount(sizeBytes, part) > pleasantParts {
		part *= 2
	}
	return Plan{PartBytes: part, Count: int32(partCount(sizeBytes, part))}
}

func partCount(size, part int64) int64 { return (size + part - 1) / part }

// PartSize is the exact length of part number (from 1), 0 for a number outside the plan.
func (p Plan) PartSize(number int32, sizeBytes int64) int64 {
	switch {
	case number < 1 || number > p.Count:
		return 0
	case number < p.Count:
		return p.PartBytes
	}
	return sizeBytes - int64(p.Count-1)*p.PartBytes
}
