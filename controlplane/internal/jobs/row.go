package jobs

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// Row is one version of a row of accounting: of a job (Step "") or of one of its steps.
type Row struct {
	Step string
	// Digest names the content; rows with the same digest are the same version.
	Digest string
	// Weight orders versions of one row by how much they know: how far it had come, how long it had run, how many columns
	// it fills. A version of less weight arrived late and changes nothing.
	Weight int64
	// Fields is a JSON object of the columns that hold something, times as unix seconds.
	Fields []byte
}

// Stamp is what has to be known of a stored row to decide whether another version replaces it.
type Stamp struct {
	Digest string
	Weight int64
}

const (
	filledBits  = 10
	elapsedBits = 40
)

func newRow(step string, r *slurmfmt.Record) Row {
	fields := encode(r)
	return Row{Step: step, Digest: digestOf(fields), Weight: weigh(r), Fields: fields}
}

func digestOf(fields []byte) string {
	sum := sha256.Sum256(fields)
	return hex.EncodeToString(sum[:16])
}

func weigh(r *slurmfmt.Record) int64 {
	var filled int64
	for i := range r.Columns().Names() {
		if r.At(i) != "" {
			filled++
		}
	}
	elapsed := r.Elapsed()
	seconds := min(max(elapsed.Sec, 0), 1<<elapsedBits-1)
	if elapsed.Kind != slurmfmt.Known {
		seconds = 0
	}
	return int64(stageOf(r))<<(filledBits+elapsedBits) | seconds<<filledBits | min(filled, 1<<filledBits-1)
}

// replaces says whether r is news beside what is stored.
func (r Row) replaces(s Stamp) bool { return r.Digest != s.Digest && r.Weight >= s.Weight }
