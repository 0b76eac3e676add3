package slurmfmt

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var genJobID = rapid.Custom(func(t *rapid.T) string {
	s := strconv.Itoa(rapid.IntRange(1, 1<<31).Draw(t, "base"))
	switch rapid.IntRange(0, 2).Draw(t, "array") {
	case 1:
		s += "_" + strconv.Itoa(rapid.IntRange(0, 1<<31).Draw(t, "task"))
	case 2:
		first := rapid.IntRange(0, 1000).Draw(t, "first")
		s += fmt.Sprintf("_[%d-%d", first, first+rapid.IntRange(0, 50).Draw(t, "width"))
		if rapid.Bool().Draw(t, "limited") {
			s += "%" + strconv.Itoa(rapid.IntRange(0, 99).Draw(t, "limit"))
		}
		s += "]"
	}
	if rapid.Bool().Draw(t, "het") {
		s += "+" + strconv.Itoa(rapid.IntRange(0, 200).Draw(t, "component"))
	}
	return s + rapid.SampledFrom([]string{"", ".batch", ".extern", ".interactive", ".0", ".17", ".3+1"}).Draw(t, "step")
})

func TestPropertyJobIDsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := genJobID.Draw(t, "id")
		id, err := ParseJobID(in)
		if err != nil || id.String() != in {
			t.Fatalf("%q became %q, %v", in, id, err)
		}
		job, err := ParseJobID(id.Job().String())
		if err != nil || job != id.Job() || job.IsStep() {
			t.Fatalf("the job of %q became %q, %v", in, job, err)
		}
		if n, _ := id.TaskCount(); n > 0 {
			tasks, err := id.ExpandTasks(1000)
			if err != nil || uint64(len(tasks)) != n {
				t.Fatalf("%q counts %d tasks and lists %d, %v", in, n, len(tasks), err)
			}
		}
	})
}

func TestPropertyDurationsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := known(rapid.Int64Range(0, 1<<50).Draw(t, "sec"), int32(rapid.IntRange(0, 999).Draw(t, "ms"))*1000)
		if d.Micro == 0 && (d.Sec == noVal32 || d.Sec == infinite32) {
			t.Skip("unset mark")
		}
		if got := ParseDuration(d.String()); got != d {
			t.Fatalf("%+v printed as %q and read as %+v", d, d.String(), got)
		}
		if got := ParseSeconds(strconv.FormatInt(d.Sec, 10)); got.Kind == Known && got.Sec != d.Sec {
			t.Fatalf("%d s read as %+v", d.Sec, got)
		}
	})
}

func TestPropertySizesAreMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		suffix := rapid.SampledFrom([]string{"", "K", "M", "G", "T", "P"}).Draw(t, "suffix")
		gen := rapid.Custom(func(t *rapid.T) [2]int {
			return [2]int{rapid.IntRange(0, 8000).Draw(t, "whole"), rapid.IntRange(0, 99).Draw(t, "hundredths")}
		})
		a, b := gen.Draw(t, "a"), gen.Draw(t, "b")
		if slices.Compare(a[:], b[:]) > 0 {
			a, b = b, a
		}
		read := func(n [2]int) Size { return ParseSize(fmt.Sprintf("%d.%02d%s", n[0], n[1], suffix)) }
		x, y := read(a), read(b)
		if x.Kind != Known || y.Kind != Known || x.Bytes > y.Bytes {
			t.Fatalf("%v%s is %+v, %v%s is %+v", a, suffix, x, b, suffix, y)
		}
		bigger := map[string]string{"": "K", "K": "M", "M": "G", "G": "T", "T": "P"}[suffix]
		if z := ParseSize(fmt.Sprintf("%d.%02d%s", a[0], a[1], bigger)); bigger != "" && z.Bytes < x.Bytes {
			t.Fatalf("%v%s is less than with %s", a, bigger, suffix)
		}
	})
}

func TestPropertyParsersNeverPanicAndKeepBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkValueParsers(t, rapid.String().Draw(t, "text")) })
}

func TestPropertyHostListsCountWhatTheyExpandTo(t *testing.T) {
	name := rapid.StringMatching(`[a-z]{1,3}(\[[0-9]{1,2}(-9[0-9]{2})?(,0[0-9])?\])?[a-z]?`)
	rapid.Check(t, func(t *rapid.T) {
		in := strings.Join(rapid.SliceOfN(name, 1, 4).Draw(t, "names"), ",")
		n, err := CountHosts(in)
		if err != nil {
			t.Fatal(err)
		}
		hosts, err := ExpandHosts(in, 10000)
		if err != nil || uint64(len(hosts)) != n {
			t.Fatalf("%q counts %d and lists %d, %v", in, n, len(hosts), err)
		}
		for _, h := range hosts {
			if again, err := ExpandHosts(h, 1); err != nil || again[0] != h {
				t.Fatalf("%q is listed as %q, which reads as %q", in, h, again)
			}
		}
	})
}

// With a delimiter that the text does not hold, whatever users wrote comes back.
func TestPropertyFreeTextSurvivesARareDelimiter(t *testing.T) {
	text := rapid.StringMatching(`[a-z0-9|,"@ ~é\n]{0,30}`)
	rapid.Check(t, func(t *rapid.T) {
		var in strings.Builder
		var names, comments []string
		for i := range rapid.IntRange(1, 8).Draw(t, "rows") {
			// A newline at the very end is the row's end and is not kept.
			names = append(names, text.Draw(t, "name"))
			comments = append(comments, strings.TrimRight(text.Draw(t, "comment"), "\n"))
			fmt.Fprintln(&in, strings.Join([]string{strconv.Itoa(i + 1), "COMPLETED", "0:0", names[i], comments[i]}, testDelimiter))
		}
		rd, err := NewReader(strings.NewReader(in.String()),
			Options{Columns: []string{"JobID", "State", "ExitCode", "JobName", "Comment"}, Delimiter: testDelimiter})
		if err != nil {
			t.Fatal(err)
		}
		for i := range names {
			rec, err := rd.Next()
			if err != nil {
				t.Fatal(err)
			}
			if rec.Get("JobName") != names[i] || rec.Get("Comment") != comments[i] {
				t.Fatalf("row %d: %q and %q came back as %q and %q", i, names[i], comments[i], rec.Get("JobName"), rec.Get("Comment"))
			}
		}
	})
}
