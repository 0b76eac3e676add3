package track

import (
	"cmp"
	"encoding/binary"
	"iter"
	"slices"

	"github.com/ergon-hpc/ergon/shared/jobkey"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
	"github.com/google/uuid"
)

// pile holds the rows of jobs between the moment when they are read and the moment when the whole answer is known to be
// good. A queue may have a hundred thousand: of each only the columns that an observation is made of are kept, packed into
// a few large blocks, which is a tenth of what records take and nothing for the collector to look at. Of names and states
// that repeat in every row nothing is gained by sharing them: they are a few bytes here.
type pile struct {
	blocks [][]byte
	// tagged rows name their submission; loose ones have no tag and may still be found by Slurm's id.
	tagged, loose []packedRow
	columns       *slurmfmt.Columns // of the last row, whose positions are
	positions     [packedColumns]int
}

// packedRow says where a row lies. The place also orders rows as they came.
type packedRow struct {
	submission uuid.UUID
	block, at  uint32
}

// packedColumns is how many columns a packed row has.
const packedColumns = 18

// unpacked are the columns of a packed row: all that read, fromQueueRow and fromAccountingRow look at.
var unpacked = slurmfmt.NewColumns("JobID", "JobIDRaw", "UID", "User", "State", "Submit", "Start", "End", "ExitCode",
	"JobName", "Account", "Partition", "QOS", "Reason", "WorkDir", "NNodes", "AllocCPUS", "NodeList")

// blockBytes is the size of a block. A row never spans two; a larger one gets a block of its own.
const blockBytes = 1 << 18

// pileOf packs a table's rows.
func pileOf(rows []*slurmfmt.Record) *pile {
	p := &pile{}
	for _, rec := range rows {
		p.add(rec)
	}
	return p
}

// add packs a row, unless it is of a step or its id cannot be read.
func (p *pile) add(rec *slurmfmt.Record) {
	if id, err := rec.ID(); err != nil || id.IsStep() {
		return
	}
	row := packedRow{submission: tagOf(rec)}
	row.block, row.at = p.pack(rec)
	if row.submission == uuid.Nil {
		p.loose = append(p.loose, row)
		return
	}
	p.tagged = append(p.tagged, row)
}

// pack writes the lengths of all columns and then their text.
func (p *pile) pack(rec *slurmfmt.Record) (block, at uint32) {
	p.resolve(rec.Columns())
	size := 0
	for _, i := range p.positions {
		size += binary.MaxVarintLen32 + len(rec.At(i))
	}
	last := len(p.blocks) - 1
	if last < 0 || cap(p.blocks[last])-len(p.blocks[last]) < size {
		p.blocks, last = append(p.blocks, make([]byte, 0, max(size, blockBytes))), last+1
	}
	b := p.blocks[last]
	block, at = uint32(last), uint32(len(b))
	for _, i := range p.positions {
		b = binary.AppendUvarint(b, uint64(len(rec.At(i))))
	}
	for _, i := range p.positions {
		b = append(b, rec.At(i)...)
	}
	p.blocks[last] = b
	return block, at
}

// resolve looks the columns up once for all rows of an answer.
func (p *pile) resolve(columns *slurmfmt.Columns) {
	if p.columns == columns {
		return
	}
	p.columns = columns
	for i, name := range unpacked.Names() {
		p.positions[i] = columns.Index(name)
	}
}

// record unpacks a row.
func (p *pile) record(row packedRow) *slurmfmt.Record {
	b := p.blocks[row.block][row.at:]
	var lengths [packedColumns]int
	total := 0
	for i := range lengths {
		n, used := binary.Uvarint(b)
		lengths[i], b = int(n), b[used:]
		total += lengths[i]
	}
	text := string(b[:total])
	var fields [packedColumns]string
	for i, n := range lengths {
		fields[i], text = text[:n], text[n:]
	}
	return slurmfmt.NewRecord(unpacked, fields[:], nil)
}

// mark is what is on the pile by now, for cut.
func (p *pile) mark() [2]int { return [2]int{len(p.tagged), len(p.loose)} }

// cut takes off all that came after the mark: an answer that failed is none.
func (p *pile) cut(mark [2]int) { p.tagged, p.loose = p.tagged[:mark[0]], p.loose[:mark[1]] }

// submissions gives the tagged rows of one submission after the other, each in the order in which they came.
func (p *pile) submissions() iter.Seq2[uuid.UUID, []packedRow] {
	slices.SortFunc(p.tagged, func(a, b packedRow) int {
		return cmp.Or(slices.Compare(a.submission[:], b.submission[:]), cmp.Compare(a.block, b.block), cmp.Compare(a.at, b.at))
	})
	return func(yield func(uuid.UUID, []packedRow) bool) {
		for rest := p.tagged; len(rest) > 0; {
			n := 1
			for n < len(rest) && rest[n].submission == rest[0].submission {
				n++
			}
			if !yield(rest[0].submission, rest[:n]) {
				return
			}
			rest = rest[n:]
		}
	}
}

// tagOf reads the submission that a row names.
func tagOf(rec *slurmfmt.Record) uuid.UUID {
	id, err := jobkey.FindTag(rec.Get("Comment"), rec.Get("SubmitLine"))
	if err != nil {
		return uuid.Nil
	}
	return id
}
