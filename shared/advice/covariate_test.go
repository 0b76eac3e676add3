package advice

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// sized is a run of ./fit with a size that needs so much memory.
func sized(size, peak float64) spec {
	return spec{peak: peak, arguments: fmt.Sprintf("--size %v in.dat", size)}
}

func TestOneNumberExplainsWhatRunsNeed(t *testing.T) {
	var specs []spec
	for _, size := range []float64{10, 20, 30, 40, 60, 80} {
		specs = append(specs, sized(size, size/10)) // 0.1 GiB for each
	}
	runs := history(specs...)
	target := threads(sized(50, 1).run())
	got := Advise(target, runs, Options{}).Item(Memory)
	if got.Verdict != Cut || math.Abs(got.Largest-5*gib) > 1<<20 || got.Recommended < 5*gib || got.Recommended > 8*gib || got.Runs != 6 {
		t.Errorf("%+v", got)
	}
	if got.Explained != "number 1 of the arguments (50)" || !strings.Contains(got.Why, "follows number 1 of the arguments") {
		t.Errorf("%q: %q", got.Explained, got.Why)
	}
	if got := Advise(threads(sized(100, 1).run()), runs, Options{}).Item(Memory); got.Reason != Outside || got.Directive != "" {
		t.Errorf("nobody knows how it goes on: %+v", got)
	}
	stopped := spec{state: "OUT_OF_MEMORY", limit: 16}
	for size, want := range map[float64]Reason{40: Beyond, 80: ""} {
		stopped.arguments = fmt.Sprintf("--size %v in.dat", size)
		if got := Advise(target, append(runs, stopped.run()), Options{}).Item(Memory); got.Reason != want {
			t.Errorf("a run of size %v was stopped at 16 GiB: %+v", size, got)
		}
	}
}

func TestTheSizeOfInputsExplainsWhatRunsNeed(t *testing.T) {
	var specs []spec
	for _, n := range []float64{1, 2, 4, 8, 16} {
		specs = append(specs, spec{bytes: n * 1e9, peak: 1 + n/2})
	}
	got := Advise(threads(spec{bytes: 6e9}.run()), history(specs...), Options{}).Item(Memory)
	if got.Verdict != Cut || got.Recommended < 4*gib || !strings.Contains(got.Explained, "size of the inputs") {
		t.Errorf("%+v", got)
	}
}

func TestScriptsAndArgumentsPartRunsOfOneName(t *testing.T) {
	runs := history(
		spec{script: "./a 1\n"}, spec{script: "./a 2\n"}, spec{script: "./a 3\n"}, spec{script: "./b 1\n", peak: 20}, spec{script: "./b 2\n", peak: 20}, spec{script: "./b 3\n", peak: 20},
		spec{arguments: "x 1"},
	)
	a := Advise(threads(runs[0]), runs, Options{})
	if a.Runs != 4 || a.Group != (Group{SameScript: 3}) || a.Item(Memory).Largest != 3*gib {
		t.Errorf("%+v", a)
	}
	if got := a.Group.Text(a.Runs); got != "same script in 3, not known in 1; arguments not known" {
		t.Error(got)
	}
	if b := Advise(threads(runs[3]), runs[:6], Options{}); b.Runs != 3 || b.Item(Memory).Largest != 20*gib || b.Group.Text(b.Runs) != "same script; arguments not known" {
		t.Errorf("%+v", b)
	}
	if got := Advise(threads(runs[0]).With([]string{"y", "1"}), runs, Options{}); got.Runs != 3 {
		t.Errorf("other arguments are other work: %+v", got)
	}
}

// All runs agree, but none had the target's number.
func TestBesideWhatWasSeenAdviceIsWideOrRefused(t *testing.T) {
	for name, c := range map[string]struct {
		seen     []float64
		target   float64
		reason   Reason
		outlying int
	}{
		"the same":              {[]float64{10, 10, 10}, 10, "", 0},
		"among them":            {[]float64{10, 10, 40}, 30, "", 0},
		"a little more":         {[]float64{10, 10, 10}, 12, "", 1},
		"a little less":         {[]float64{10, 10, 10}, 8, "", 1},
		"twice":                 {[]float64{10, 10, 10}, 20, Outside, 0},
		"half":                  {[]float64{10, 10, 10}, 5, Outside, 0},
		"the next of a series":  {[]float64{1, 2, 3, 4}, 5, "", 1},
		"far along the series":  {[]float64{1, 2, 3, 4}, 6, Outside, 0},
		"two values, no series": {[]float64{1, 1, 4}, 5.5, Outside, 0},
	} {
		var runs []Run
		for _, n := range c.seen {
			runs = append(runs, sized(n, 3).run())
		}
		got := Advise(threads(sized(c.target, 3).run()), runs, Options{}).Item(Memory)
		if got.Reason != c.reason || got.Outlying != c.outlying {
			t.Errorf("%s: %+v", name, got)
		}
		if wide := margin(len(runs)) + 0.5*float64(c.outlying); got.Reason == "" && math.Abs(got.Margin-wide) > 1e-9 {
			t.Errorf("%s: margin %v, want %v", name, got.Margin, wide)
		}
	}
	three := func(n float64) spec { return spec{peak: 3, arguments: fmt.Sprint(n, n, n)} }
	if got := Advise(threads(three(11).run()), history(three(10), three(10), three(10)), Options{}).Item(Memory); got.Reason != Outside {
		t.Errorf("three numbers at once: %+v", got)
	}
}

// A need that follows a power of a number, with noise: what is advised suffices for the target, whatever power and noise.
func TestWhatIsExplainedSuffices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		power := rapid.Float64Range(0.3, 2).Draw(t, "power")
		noise := rapid.Float64Range(1, 1.2)
		need := func(size float64) float64 { return math.Pow(size/100, power) }
		var specs []spec
		for range rapid.IntRange(6, 30).Draw(t, "runs") {
			size := rapid.Float64Range(10, 100).Draw(t, "size")
			specs = append(specs, sized(size, need(size)*noise.Draw(t, "noise")))
		}
		size := rapid.Float64Range(10, 100).Draw(t, "target")
		got := Advise(threads(sized(size, 1).run()), history(specs...), Options{}).Item(Memory)
		if got.Verdict == Refused || got.Explained == "" {
			return // spread below twofold, too few different sizes, or outside of them
		}
		if got.Recommended < need(size)*1.2*gib || got.Largest < need(size)*gib {
			t.Fatalf("needs up to %v GiB: %+v", need(size)*1.2, got)
		}
	})
}

// Sixty numbers that have nothing to do with what few runs need: of a hundred histories five may be explained by chance.
func TestManyNumbersOfFewRunsExplainNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	explained := 0
	const histories = 100
	for range histories {
		var specs []spec
		for range 5 + random.IntN(4) {
			var words []string
			for range 60 {
				words = append(words, fmt.Sprint(1+random.IntN(100)))
			}
			specs = append(specs, spec{peak: math.Exp(3 * random.Float64()), arguments: strings.Join(words, " ")})
		}
		target := threads(specs[0].run())
		f := bestFit(samplesOf(history(specs...)), covariates(target), 2)
		if f != nil {
			explained++
		}
	}
	if explained > histories/10 {
		t.Errorf("%d of %d histories are explained", explained, histories)
	}
}

func samplesOf(runs []Run) (out []sample) {
	for i := range runs {
		r := newRun(&runs[i])
		v, _ := r.measured(efficiency.MemoryPeak)
		out = append(out, sample{r, v})
	}
	return out
}

func TestAFitLiesAboveAllOfItsRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var specs []spec
		for i := range rapid.IntRange(5, 20).Draw(t, "runs") {
			specs = append(specs, sized(float64(i), rapid.Float64Range(0.1, 30).Draw(t, "peak")))
		}
		list := samplesOf(history(specs...))
		for i, s := range specs {
			f := newFit(covariates(threads(s.run()))[0], list)
			if f == nil || !f.inside() || f.largest() < list[i].value*(1-1e-9) {
				t.Fatalf("run %d of %v: %+v", i, specs, f)
			}
		}
	})
}
