package slurmfmt

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestJobIDsRoundTrip(t *testing.T) {
	for _, in := range []string{
		"123", "123_4", "123_0", "123_[1-10]", "123_[1-10%5]", "123_[1,3,5]", "123_[1-20:4,30]", "14_[1-4]",
		"123_[1,3,5-7,...]", "123+0", "123_2+1", "123_2+3.1", "123.batch", "123.extern", "123.interactive", "123.0",
		"123_4.batch", "123+0.0", "123.0+1", "123_2+1.4294967290", "21+1.extern",
	} {
		id, err := ParseJobID(in)
		if err != nil {
			t.Errorf("ParseJobID(%q): %v", in, err)
			continue
		}
		if id.String() != in {
			t.Errorf("%q printed as %q", in, id)
		}
		job, step, isStep := strings.Cut(in, ".")
		if strings.Contains(in, "...") {
			job, step, isStep = in, "", false
		}
		if id.Job().String() != job || id.IsStep() != isStep || id.Step().String() != step {
			t.Errorf("%q: job %q, step %q", in, id.Job(), id.Step())
		}
	}
}

func TestJobIDPartsAreToldApart(t *testing.T) {
	id, err := ParseJobID("123_2+3.0+1")
	if err != nil {
		t.Fatal(err)
	}
	task, hasTask := id.Task()
	comp, hasComp := id.Component()
	stepComp, hasStepComp := id.Step().Component()
	if id.Base() != 123 || task != 2 || !hasTask || comp != 3 || !hasComp || stepComp != 1 || !hasStepComp {
		t.Errorf("got base %d task %d component %d step component %d", id.Base(), task, comp, stepComp)
	}
	if !id.Step().IsNumbered() || id.Step().IsBatch() {
		t.Errorf("step %q has the wrong kind", id.Step())
	}
	plain, _ := ParseJobID("7.extern")
	if _, ok := plain.Task(); ok || !plain.Step().IsExtern() || plain.Step().IsNumbered() {
		t.Errorf("7.extern read wrongly: %+v", plain)
	}
}

func TestUnparseableJobIDsAreRefused(t *testing.T) {
	for _, in := range []string{
		"", "abc", "0", "007", "-1", "+1", "1_", "1_a", "1_[", "1_[]", "1_[1-]", "1_[3-1]", "1_[1,,2]", "1_[1-4:0]",
		"1_[1%]", "1_[1]x", "1.", "1.x", "1.batch.0", "1+", "1+a", "1.0+", "1_4294967296", "99999999999999999999", "1 ", " 1",
		"1\x00", "12345678901|x", "1_[1%5%6]", "1_01", strings.Repeat("9", 1<<17),
	} {
		if id, err := ParseJobID(in); !errors.Is(err, ErrJobID) {
			t.Errorf("ParseJobID(%q) = %v, %v; want ErrJobID", clip(in), id, err)
		} else if len(err.Error()) > 300 {
			t.Errorf("the error quotes %d bytes", len(err.Error()))
		}
	}
}

func TestArraySetsExpandWithinTheLimit(t *testing.T) {
	for in, want := range map[string][]uint32{
		"1_[1-4]":       {1, 2, 3, 4},
		"1_[1,3,5-6%2]": {1, 3, 5, 6},
		"1_[0-10:5]":    {0, 5, 10},
		"1_7":           {7},
		"1":             {},
	} {
		id, err := ParseJobID(in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := id.ExpandTasks(10)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q expands to %v, %v; want %v", in, got, err, want)
		}
	}
	big, _ := ParseJobID("1_[0-4294967295]")
	if n, _ := big.TaskCount(); n != 1<<32 {
		t.Errorf("count %d", n)
	}
	if _, err := big.ExpandTasks(1000); !errors.Is(err, ErrTooMany) {
		t.Errorf("expansion of 4 G tasks: %v", err)
	}
	if limit, ok := mustID(t, "1_[1-10%5]").ConcurrentLimit(); !ok || limit != 5 {
		t.Errorf("limit %d %v", limit, ok)
	}
}

func TestCutArraySetSaysSo(t *testing.T) {
	id := mustID(t, "1_[1,3,5-7,...]")
	if n, cut := id.TaskCount(); n != 5 || !cut {
		t.Errorf("count %d, cut %v", n, cut)
	}
	if _, err := id.ExpandTasks(100); err == nil {
		t.Error("a set that Slurm cut short was expanded as if it were whole")
	}
}

func mustID(t *testing.T, s string) JobID {
	t.Helper()
	id, err := ParseJobID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
