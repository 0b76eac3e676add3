package efficiency

import (
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// everyRule runs the cases of all rules that have thresholds, and those that have none.
func everyRule(t *testing.T) map[Rule]Finding {
	t.Helper()
	out := make(map[Rule]Finding)
	keep := func(r Report) {
		for _, f := range r.Findings {
			out[f.Rule] = f
		}
	}
	for _, c := range thresholdCases() {
		limits := relaxed()
		set(&limits, c.field, c.on)
		c.in.Thresholds = &limits
		keep(Analyse(c.in))
	}
	for _, in := range []Input{
		rowsOf(longJob("State=OUT_OF_MEMORY", "ExitCode=0:125"), step0(goodCPU+",mem=64G", "State=OUT_OF_MEMORY")),
		rowsOf(longJob("State=TIMEOUT"), step0(goodCPU+","+goodMem)),
		rowsOf(longJob("NNodes=20", "NodeList=n[1-20]"), row("JobID=5.batch", "State=COMPLETED", "NNodes=1", "NodeList=n1", "TotalCPU=01:00:00")),
		{
			Rows:    []*record{longJob("AllocCPUS=8", "NNodes=4", "NodeList=n[1-4]"), step0("cpu=14:00:00,"+goodMem, "NNodes=4", "NodeList=n[1-4]", "NTasks=8")},
			Cluster: &Cluster{DefaultType: "a", NodeTypes: map[string]NodeType{"a": {Cores: 16, MemoryBytes: 128 << 30}}},
		},
		{Rows: []*record{longJob("Start=1000", "End=8200", "ConsumedEnergyRaw=1000")}, Price: &Tariff{Unit: "EUR", Intervals: []Interval{{0, 2000, 5}}}},
	} {
		keep(Analyse(in))
	}
	for _, rule := range allRules() {
		if _, ok := out[rule]; !ok {
			t.Errorf("no case makes %s speak", rule)
		}
	}
	return out
}

// jargon are words that a user of a cluster need not know, without the words that explain them.
var jargon = regexp.MustCompile(`(?i)\b(TRES|RSS|AllocTRES|HDF5|gres|ledger|NaN|nil|null)\b`)

func TestEveryFindingTellsABeginnerWhatToDo(t *testing.T) {
	for rule, f := range everyRule(t) {
		t.Run(string(rule), func(t *testing.T) {
			for what, text := range map[string]string{"text": f.Text, "change": f.Change} {
				if len(text) < 30 || !strings.HasSuffix(text, ".") {
					t.Errorf("%s %q is no sentence", what, text)
				}
				if word := jargon.FindString(text); word != "" {
					t.Errorf("%s uses the word %q: %q", what, word, text)
				}
				if strings.Contains(text, "%!") || strings.Contains(text, "+Inf") {
					t.Errorf("%s %q is not formatted", what, text)
				}
			}
			if f.Directive != "" && (f.Risk == "" || !strings.HasPrefix(f.Directive, "--")) {
				t.Errorf("directive %q with the risk %q", f.Directive, f.Risk)
			}
			if !slices.Contains([]Severity{Critical, Warning, Info}, f.Severity) {
				t.Errorf("severity %q", f.Severity)
			}
		})
	}
}

func TestEvidenceHoldsTheLimitsThatTheRuleComparedWith(t *testing.T) {
	for rule, f := range everyRule(t) {
		for _, name := range rule.Thresholds() {
			if v, ok := f.Evidence["threshold_"+name].(float64); !ok || math.IsNaN(v) {
				t.Errorf("%s: the evidence %v lacks %s", rule, f.Evidence, name)
			}
		}
		if len(f.Evidence) <= len(rule.Thresholds()) {
			t.Errorf("%s: the evidence %v holds nothing but limits", rule, f.Evidence)
		}
	}
	custom := DefaultThresholds()
	custom.SerialCores = 3
	in := rowsOf(longJob(), step0("cpu=05:00:00,"+goodMem))
	in.Thresholds = &custom
	if f := hasRule(Analyse(in), RuleSerialOnManyCores); f == nil || f.Evidence["threshold_serial_cores"] != 3.0 {
		t.Errorf("the site's own limit is not in the evidence: %+v", f)
	}
}

func TestEveryThresholdBelongsToARule(t *testing.T) {
	used := map[string]bool{"time_margin": true} // only in the advice of time_over_requested
	for _, rule := range allRules() {
		for _, name := range rule.Thresholds() {
			used[name] = true
			if _, ok := DefaultThresholds().named(name); !ok {
				t.Errorf("%s names %s, which is no threshold", rule, name)
			}
		}
	}
	for _, name := range thresholdNames() {
		if !used[name] {
			t.Errorf("no rule names the threshold %s", name)
		}
	}
}

func TestAdviceNeverAsksForMoreThanANodeHas(t *testing.T) {
	small := func(memory float64, gather string) *Cluster {
		return &Cluster{JobAcctGather: gather, DefaultType: "a", NodeTypes: map[string]NodeType{"a": {Cores: 16, MemoryBytes: memory}}}
	}
	oom := []*record{longJob("State=OUT_OF_MEMORY", "ExitCode=0:125"), step0(goodCPU+",mem=64G", "State=OUT_OF_MEMORY")}
	near := []*record{longJob(), step0(goodCPU + ",mem=62G")}
	for _, c := range []struct {
		name      string
		rows      []*record
		cluster   *Cluster
		rule      Rule
		directive string
	}{
		{"twice as much", oom, small(512*gib, linux), RuleOutOfMemory, "--mem=128G"},
		{"all of the node", oom, small(100*gib+700<<20, linux), RuleOutOfMemory, "--mem=103100M"},
		{"rounding up would be more than the node has", oom, small(128*gib-1<<20, linux), RuleOutOfMemory, "--mem=131071M"},
		{"the job had the whole node", oom, small(64*gib, linux), RuleOutOfMemory, ""},
		{"the node is not known", oom, nil, RuleOutOfMemory, "--mem=128G"},
		{"a fifth more", near, small(512*gib, linux), RuleMemoryNearLimit, "--mem=77G"},
		{"a fifth more than there is", near, small(64*gib, linux), RuleMemoryNearLimit, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := hasRule(Analyse(Input{Rows: c.rows, Cluster: c.cluster}), c.rule)
			if f == nil || f.Directive != c.directive {
				t.Fatalf("%+v, want %q", f, c.directive)
			}
			if c.directive == "" && !strings.Contains(f.Change, "no more memory") {
				t.Errorf("change %q does not say why", f.Change)
			}
		})
	}
}

// thresholdNames are the names of a site's file.
func thresholdNames() (out []string) {
	kind := reflect.TypeFor[Thresholds]()
	for i := range kind.NumField() {
		out = append(out, kind.Field(i).Tag.Get("json"))
	}
	return out
}
