package collect

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/agent/internal/safefs"
)

// Tail reads at most limit bytes from the end of the job's stdout or stderr.
func Tail(job outputs.JobFiles, stream outputs.Class, limit int64) ([]byte, error) {
	file := job.Dirs.Stdout
	if stream == outputs.ClassStderr {
		file = job.Dirs.Stderr
	}
	if file == "" || limit < 0 {
		return nil, fmt.Errorf("the job has no known %s", stream)
	}
	dir, err := safefs.OpenDir(filepath.Dir(file), safefs.Rules{UID: job.UID})
	if err != nil {
		return nil, err
	}
	f, err := dir.Open(filepath.Base(file))
	if err = errors.Join(err, dir.Close()); err != nil {
		return nil, err
	}
	size := f.Stat().SizeBytes
	from := max(0, size-limit)
	data, err := io.ReadAll(io.NewSectionReader(f, from, size-from))
	return data, errors.Join(err, f.Close())
}
