package track

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/shared/jobkey"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
	"github.com/google/uuid"
)

func queueRow(id string, submission uuid.UUID, name string) *slurmfmt.Record {
	fields := map[string]string{
		"JobID": id, "JobIDRaw": id, "UID": "1000", "User": "alice", "State": "RUNNING", "Submit": "1700000000", "Start": "1700000060",
		"JobName": name, "Account": "physics", "Partition": "debug", "QOS": "normal", "Reason": "None", "WorkDir": "/home/alice/run",
		"NNodes": "1", "AllocCPUS": "2", "NodeList": "n1", "Elapsed": "1-00:00:00", "Dependency": "(null)",
	}
	if submission != uuid.Nil {
		fields["Comment"] = jobkey.Tag(submission, "")
	}
	row := make([]string, len(slurmfmt.SqueueColumns()))
	for i, column := range slurmfmt.SqueueColumns() {
		row[i] = fields[column]
	}
	return slurmfmt.NewRecord(queueColumns, row, nil)
}

var queueColumns = slurmfmt.NewColumns(slurmfmt.SqueueColumns()...)

func newID(t *testing.T) uuid.UUID {
	t.Helper()
	id, err := jobkey.NewSubmission()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestAPackedRowSaysWhatTheRowSaid(t *testing.T) {
	t.Parallel()
	tag := newID(t)
	long := strings.Repeat("name ", blockBytes/4)
	for name, rec := range map[string]*slurmfmt.Record{"plain": queueRow("7", tag, "tränen\n|x"), "larger than a block": queueRow("7_3", tag, long), "empty name": queueRow("7", tag, "")} {
		p := &pile{}
		p.add(queueRow("1", tag, "before"))
		p.add(rec)
		p.add(queueRow("2", tag, "after"))
		if len(p.tagged) != 3 || len(p.loose) != 0 || p.tagged[1].submission != tag {
			t.Fatalf("%s: %+v", name, p.tagged)
		}
		got := p.record(p.tagged[1])
		for _, column := range unpacked.Names() {
			if want := rec.Get(column); got.Get(column) != want {
				t.Errorf("%s: %s is %.40q, want %.40q", name, column, got.Get(column), want)
			}
		}
		whole, ok := fromQueueRow(rec)
		unpackedToo, okToo := fromQueueRow(got)
		if !ok || !okToo || whole.id != unpackedToo.id || *whole.detail.CPUs != *unpackedToo.detail.CPUs || !whole.start.Equal(unpackedToo.start) {
			t.Errorf("%s: observed %+v, want %+v", name, unpackedToo, whole)
		}
	}
}

func TestRowsOfOneSubmissionComeTogetherAndInOrder(t *testing.T) {
	t.Parallel()
	first, second := newID(t), newID(t)
	p := &pile{}
	for i := range 3000 { // more than a block
		p.add(queueRow(strconv.Itoa(2*i+1), second, "x"))
		p.add(queueRow(strconv.Itoa(2*i+2), first, "x"))
	}
	p.add(queueRow("9001.batch", first, "a step"))
	p.add(queueRow("9002", uuid.Nil, "untagged"))
	var order []uuid.UUID
	for id, group := range p.submissions() {
		order = append(order, id)
		last := 0
		for _, row := range group {
			n, err := strconv.Atoi(p.record(row).Get("JobID"))
			if err != nil || n <= last {
				t.Fatalf("job %d comes after job %d, %v", n, last, err)
			}
			last = n
		}
		if len(group) != 3000 {
			t.Errorf("%d rows", len(group))
		}
	}
	slices.SortFunc(order, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	if len(order) != 2 || len(slices.Compact(order)) != 2 || len(p.loose) != 1 || len(p.blocks) < 2 {
		t.Errorf("%d submissions, %d loose, %d blocks", len(order), len(p.loose), len(p.blocks))
	}
}

func TestCutTakesOffTheRowsOfOneAnswer(t *testing.T) {
	t.Parallel()
	p := &pile{}
	p.add(queueRow("1", newID(t), "kept"))
	p.add(queueRow("2", uuid.Nil, "kept"))
	before := p.mark()
	p.add(queueRow("3", newID(t), "cut"))
	p.add(queueRow("4", uuid.Nil, "cut"))
	p.cut(before)
	p.add(queueRow("5", newID(t), "after"))
	if len(p.tagged) != 2 || len(p.loose) != 1 || p.record(p.tagged[0]).Get("JobID") != "1" || p.record(p.tagged[1]).Get("JobID") != "5" {
		t.Errorf("%+v %+v", p.tagged, p.loose)
	}
}

// The agent may hold 120 MB with a hundred thousand jobs (design 07).
func TestAHundredThousandRowsAreSmall(t *testing.T) {
	t.Parallel()
	p := &pile{}
	for i := range 100_000 {
		p.add(queueRow(strconv.Itoa(i), newID(t), "benchmark"))
	}
	total := 0
	for _, b := range p.blocks {
		total += cap(b)
	}
	if limit := 15 << 20; total > limit {
		t.Errorf("%d bytes, want at most %d", total, limit)
	}
}
