package advice

import (
	"fmt"
	"math"
	"slices"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// question is what is asked of the history for one option.
type question func(Target, Options) asked

type asked struct {
	kind    Kind
	current float64
	refuse  Reason // known before looking
	// value is what a run needed; limit what a run that was stopped for why had.
	value func(run, Options) (float64, Reason)
	why   Reason
	limit func(run) float64
	// round goes up to what is worth writing; near is the share of the request above which more is needed.
	round func(float64) float64
	near  float64
	// raisable says that a run's number may be believed to ask for more; nil is always.
	raisable func(run) bool
	// most is what can be asked for at all, 0 when it is not known; allows names who sets it.
	most   float64
	allows string
	// worth is the least cut worth a change.
	worth     float64
	slack     float64 // added to every margin
	directive func(Target, float64) string
	text      func(float64) string
	saving    func(t Target, less, elapsed float64) efficiency.Wasted
	risk      string
}

func memoryQuestion(t Target, opt Options) asked {
	return asked{
		raisable: run.resident, most: math.Floor(opt.NodeMemoryBytes/(1<<20)) * (1 << 20), allows: "such a node has",
		kind: Memory, current: t.MemoryBytes, why: OutOfMemory,
		value: func(r run, opt Options) (float64, Reason) { return r.memoryPerNode(opt, t.MemoryBytes) },
		limit: func(r run) float64 { return TargetOf(*r.Run).MemoryBytes },
		round: func(v float64) float64 { return math.Ceil(v/memoryStep) * memoryStep }, near: 0.95, worth: memoryStep,
		directive: func(_ Target, v float64) string { return "--mem=" + MemoryOption(v) },
		text:      sizeText,
		saving: func(t Target, less, elapsed float64) efficiency.Wasted {
			return efficiency.Wasted{ByteS: less * float64(max(1, t.Nodes)) * elapsed}
		},
		risk: "a larger input may need more and be killed for lack of memory",
	}
}

func timeQuestion(t Target, opt Options) asked {
	return asked{
		most: opt.PartitionSeconds, allows: "the partition allows",
		kind: Time, current: t.LimitSeconds, value: run.wall, why: Timeout,
		limit: func(r run) float64 { return known(r.Report.Job.LimitSeconds) },
		round: roundTime, near: 0.9, worth: 1800, slack: 0.1,
		directive: func(_ Target, v float64) string { return "--time=" + TimeOption(v) },
		text:      TimeOption,
		saving:    func(Target, float64, float64) efficiency.Wasted { return efficiency.Wasted{} },
		risk:      "a slower node or a larger input may reach the limit and be stopped",
	}
}

// cpuQuestion is about the mean use: phases with more threads than the mean would take longer.
func cpuQuestion(t Target, _ Options) asked {
	a := asked{
		kind: CPUs, current: float64(t.CPUs), value: run.cores,
		round: roundCPUs, near: 1.05, worth: 1,
		directive: cpuDirective, text: func(v float64) string { return fmt.Sprintf("%.3g CPUs", v) },
		saving: func(_ Target, less, elapsed float64) efficiency.Wasted {
			return efficiency.Wasted{CoreS: less * elapsed}
		},
		risk: "the number is a mean: phases that use more CPUs will take longer, so leave the time limit as it is at first",
	}
	if t.Tasks == 0 || t.Tasks > 1 && t.CPUsPerTask > 1 || t.Nodes > 1 {
		a.refuse = ShapeUnknown
	}
	if t.GPUs > 0 {
		a.refuse = OtherShape
	}
	return a
}

// answer looks at the runs of the same work.
func (a asked) answer(t Target, runs []run, opt Options) Item {
	item := Item{Kind: a.kind, Current: a.current, Left: map[Reason]int{}}
	if a.current <= 0 {
		return a.no(item, NotAsked)
	}
	if a.refuse != "" {
		return a.no(item, a.refuse)
	}
	chosen, why := choose(t, a.clean(runs, opt, item.Left), opt)
	item.Left[OtherShape] += chosen.left
	if item.Runs = len(chosen.samples); why != "" {
		return a.no(item, why)
	}
	return a.recommend(item, t, chosen, runs)
}

// sample is what a clean run needed.
type sample struct {
	run   run
	value float64
}

func (a asked) clean(runs []run, opt Options, left map[Reason]int) (out []sample) {
	for _, r := range runs {
		fault := r.fault(opt)
		var v float64
		if fault == "" {
			v, fault = a.value(r, opt)
		}
		if fault != "" {
			left[fault]++
			continue
		}
		out = append(out, sample{r, v})
	}
	return out
}

// spread is largest / smallest.
func spread(list []sample) float64 {
	least, most := math.Inf(1), 0.0
	for _, s := range list {
		least, most = min(least, s.value), max(most, s.value)
	}
	if most == 0 {
		return 1
	}
	return most / least
}

// margin is wide for few runs: 1.5 for three, 1.15 for very many.
func margin(n int) float64 { return 1.15 + 1.05/float64(n) }

func (a asked) recommend(item Item, t Target, of choice, runs []run) Item {
	clean := of.samples
	elapsed := make([]float64, len(clean))
	for i, s := range clean {
		elapsed[i] = s.run.elapsed()
	}
	item.Largest, item.Explained, item.Outlying = of.largest(), of.explained(), of.outlying
	item.Margin = margin(len(clean)) + a.slack + outlyingMargin*float64(of.outlying)
	item.Risk = 1 / float64(len(clean)+1)
	item.Recommended = a.round(item.Largest * item.Margin)
	if a.limit != nil {
		for _, r := range runs {
			if r.stopped() == a.why && a.limit(r) >= item.Recommended && of.comparable(r) {
				return a.no(item, Beyond)
			}
		}
	}
	more := item.Largest > a.near*item.Current && item.Recommended > item.Current
	if more && !a.believed(clean, item.Current) {
		return a.no(item, PageCache)
	}
	capped := a.most > 0 && item.Recommended > a.most
	if capped {
		item.Recommended = a.most
	}
	less := item.Current - item.Recommended
	switch {
	case more && capped && less >= 0:
		item.Verdict, item.Recommended = Keep, item.Current
		item.Why = fmt.Sprintf("The largest of %d runs took %s of %s, and that is all that %s.", item.Runs, a.text(item.Largest), a.text(item.Current), a.allows)
		return item
	case more:
		item.Verdict = Raise
	case less >= max(a.worth, 0.1*item.Current):
		item.Verdict = Cut
		item.Saving = a.saving(t, less, median(elapsed))
	default:
		item.Verdict = Keep
		item.Why = fmt.Sprintf("What is asked for (%s) fits: the largest of %d runs took %s.", a.text(item.Current), item.Runs, a.text(item.Largest))
		return item
	}
	item.Directive = a.directive(t, item.Recommended)
	item.Why = a.changeWhy(item)
	item.RiskText = fmt.Sprintf("About %.0f %% of such runs are larger than all %d before, without the margin: %s.", 100*item.Risk, item.Runs, a.risk)
	return item
}

// changeWhy says what a change rests on.
func (a asked) changeWhy(item Item) string {
	if item.Largest == 0 {
		return fmt.Sprintf("None of %d runs used any of %s.", item.Runs, a.text(item.Current))
	}
	why := fmt.Sprintf("The largest of %d runs took", item.Runs)
	if item.Explained != "" {
		why = fmt.Sprintf("What %d runs took follows %s: with this job's the largest would take", item.Runs, item.Explained)
	}
	why += fmt.Sprintf(" %s of %s; %s leaves a margin of %.0f %%.", a.text(item.Largest), a.text(item.Current), a.text(item.Recommended), 100*(item.Recommended/item.Largest-1))
	if item.Outlying > 0 {
		why += " No run had these numbers, so the margin is wide."
	}
	return why
}

// believed: the runs that came near what is asked for are such that more may be asked from them.
func (a asked) believed(clean []sample, current float64) bool {
	return a.raisable == nil || !slices.ContainsFunc(clean, func(s sample) bool { return s.value > a.near*current && !a.raisable(s.run) })
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

func (a asked) no(item Item, why Reason) Item {
	item.Verdict, item.Reason, item.Recommended = Refused, why, 0
	item.Why = map[Reason]string{
		TooFew:       fmt.Sprintf("Only %d comparable clean runs are known; at least three are needed.", item.Runs),
		Spread:       fmt.Sprintf("%d comparable runs differ more than twofold, and neither size nor one of the numbers of script and arguments explains it.", item.Runs),
		Outside:      "No comparable run had numbers (of script, arguments or inputs) near those of this job: what it needs is not known.",
		NotAsked:     "What the job asks for now is not known.",
		ShapeUnknown: "How the job divides its CPUs among tasks, threads and nodes is not known, or not simple enough for advice.",
		OtherShape:   "CPUs of jobs with GPUs feed the GPUs; their number is no question of use alone.",
		PageCache:    "These runs came near the limit, but what was measured may be file cache, which the kernel gives back: more memory may change nothing.",
		Beyond:       "A comparable run was stopped at a limit above what the clean runs would suggest.",
	}[why]
	return item
}
