package collect

import (
	"fmt"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
)

// budget holds a job's files within its caps; what does not fit is recorded in place.
type budget struct {
	caps  outputs.Caps
	bytes int64
	files int
}

func (b *budget) admit(e *outputs.Entry) {
	switch {
	case e.Size > b.caps.FileBytes:
		skip(e, "larger than the cap of %d bytes for one file", b.caps.FileBytes)
	case b.files+1 > b.caps.JobFiles:
		skip(e, "the job has more than %d files", int64(b.caps.JobFiles))
	case e.Size > b.caps.JobBytes-b.bytes:
		skip(e, "the job's files are larger than %d bytes in all", b.caps.JobBytes)
	default:
		b.bytes += e.Size
		b.files++
	}
}

func skip(e *outputs.Entry, format string, limit int64) {
	e.Status, e.Reason = outputs.StatusSkipped, fmt.Sprintf(format, limit)
}
