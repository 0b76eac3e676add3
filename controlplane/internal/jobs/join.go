package jobs

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// A row of a job that is over may come again with other columns: from another dump, or from an agent after an import. It is
// the same row then, and what either of them knows is kept. Of a column that both have, the row that knows more counts.

// ended says whether a version of a row is of a job or step that was over.
func (s Stamp) ended() bool { return stage(s.Weight>>(filledBits+elapsedBits)) == stageEnded }

func (r Row) ended() bool { return Stamp{Weight: r.Weight}.ended() }

// recall reads the stored content of the rows that came again with other columns.
func (b *Book) recall(news []*bundle) error {
	wanted := map[Origin]*Run{}
	var ids []uuid.UUID
	for _, u := range news {
		for _, e := range b.byRaw[u.ident.raw] {
			for _, r := range e.Runs {
				if r.Origin == nil || wanted[*r.Origin] != nil || !r.comesAgain(u.rows) {
					continue
				}
				wanted[*r.Origin] = r
				ids = append(ids, r.Origin.JobID)
			}
		}
	}
	if len(ids) == 0 || b.Content == nil {
		return nil
	}
	content, err := b.Content(ids)
	if err != nil {
		return err
	}
	for place, fields := range content {
		if r := wanted[place.Origin]; r != nil {
			if r.old == nil {
				r.old = map[string][]byte{}
			}
			r.old[place.Step] = fields
		}
	}
	return nil
}

func (r *Run) comesAgain(rows []Row) bool {
	for _, row := range rows {
		if s, ok := r.Stamps[row.Step]; ok && s.Digest != row.Digest && s.ended() && row.ended() {
			return true
		}
	}
	return false
}

// join adds to a row what the stored version of it knows, with the facts of both where it is the job's own row. A row that
// cannot be joined stays as it came.
func (r *Run) join(row Row) (Row, *Facts) {
	s, known := r.Stamps[row.Step]
	old := r.old[row.Step]
	if !known || old == nil || s.Digest == row.Digest || !s.ended() || !row.ended() {
		return row, nil
	}
	fields, err := union(old, row.Fields, row.Weight >= s.Weight)
	if err != nil {
		return row, nil
	}
	rec, err := Decode(fields)
	if err != nil {
		return row, nil
	}
	joined := Row{Step: row.Step, Digest: digestOf(fields), Weight: max(weigh(rec), s.Weight), Fields: fields}
	if row.Step != "" {
		return joined, nil
	}
	id, err := identOf(rec)
	if err != nil {
		return row, nil
	}
	f, err := factsOf(rec, id)
	if err != nil {
		return row, nil
	}
	return joined, &f
}

// union puts the columns of add behind those of old; over says whether add counts where both have one.
func union(old, add []byte, over bool) ([]byte, error) {
	names, values, err := columnsOf(old)
	if err != nil {
		return nil, err
	}
	more, fresh, err := columnsOf(add)
	if err != nil {
		return nil, err
	}
	for _, n := range more {
		switch _, known := values[n]; {
		case !known:
			names = append(names, n)
			values[n] = fresh[n]
		case over:
			values[n] = fresh[n]
		}
	}
	cells := make([]string, len(names))
	for i, n := range names {
		cells[i] = values[n]
	}
	return encode(slurmfmt.NewRecord(slurmfmt.NewColumns(names...), cells, nil)), nil
}

// columnsOf reads a stored row with the order of its columns.
func columnsOf(fields []byte) (names []string, values map[string]string, err error) {
	values = map[string]string{}
	if err := json.Unmarshal(fields, &values); err != nil {
		return nil, nil, fmt.Errorf("reading a stored accounting row: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(fields))
	for i := 0; ; i++ {
		token, err := d.Token()
		if err != nil {
			return names, values, nil //nolint:nilerr // the end: Unmarshal has read it whole
		}
		if name, ok := token.(string); ok && i%2 == 1 {
			names = append(names, name)
		}
	}
}
