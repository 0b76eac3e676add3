package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"html"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

func TestCSVHoldsEveryMetricAndDisarmsFormulas(t *testing.T) {
	t.Parallel()
	r := reportsOf(cases["partially_measured"])[0]
	r.Job.Name = `=HYPERLINK("http://evil")`
	var b bytes.Buffer
	if err := NewCSV(&b).Add(r); err != nil {
		t.Fatal(err)
	}
	table, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(table) != 2 || len(table[0]) != len(table[1]) {
		t.Fatalf("no table of two rows: %v, %v", table, err)
	}
	get := func(column string) string { return table[1][slices.Index(table[0], column)] }
	for _, name := range efficiency.MetricNames() {
		want := ""
		if v, known := r.Value(name); known {
			want = strconv.FormatFloat(v, 'f', -1, 64)
		}
		if got := get(string(name)); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if name := get("name"); !strings.HasPrefix(name, "'=") {
		t.Errorf("a formula: %q", name)
	}
	if !strings.Contains(get("cpu_efficiency_reasons"), "unmeasured_nodes") {
		t.Error("the reasons are missing")
	}
}

func TestYAMLSaysWhatJSONSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := reportsOf(cases["well_sized"])[0]
		r.Job.Name = rapid.String().Draw(t, "name")
		var b bytes.Buffer
		if err := YAML(&b, r); err != nil {
			t.Fatal(err)
		}
		var fromYAML, fromJSON any
		if err := yaml.Unmarshal(b.Bytes(), &fromYAML); err != nil {
			t.Fatalf("%v in\n%s", err, b.String())
		}
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &fromJSON); err != nil {
			t.Fatal(err)
		}
		if got, want := canonical(fromYAML), canonical(fromJSON); got != want {
			t.Fatalf("YAML %s\nJSON %s", got, want)
		}
	})
}

// canonical prints any decoded value in one way, whole numbers as floats.
func canonical(v any) string {
	switch v := v.(type) {
	case map[string]any:
		var parts []string
		for _, k := range keys(v) {
			parts = append(parts, strconv.Quote(k)+":"+canonical(v[k]))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		var parts []string
		for _, e := range v {
			parts = append(parts, canonical(e))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case int:
		return fmt.Sprint(float64(v))
	case string:
		return strconv.Quote(v)
	}
	return fmt.Sprint(v)
}

func TestTaskListNamesExactlyTheTasks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfDistinct(rapid.Uint64Range(0, 40), rapid.ID[uint64]).Draw(t, "tasks")
		ids := []string{"7"} // a plain id names no task
		for _, n := range want {
			ids = append(ids, fmt.Sprintf("7_%d", n))
		}
		var got []uint64
		for part := range strings.SplitSeq(TaskList(ids), ",") {
			from, to, isRange := strings.Cut(part, "-")
			a, err := strconv.ParseUint(from, 10, 64)
			if err != nil {
				continue
			}
			b := a
			if isRange {
				if b, err = strconv.ParseUint(to, 10, 64); err != nil {
					t.Fatal(err)
				}
			}
			for n := a; n <= b; n++ {
				got = append(got, n)
			}
		}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("%s names %v, want %v", TaskList(ids), got, want)
		}
	})
}

func TestHTMLEscapesHostileNamesAndLoadsNothing(t *testing.T) {
	t.Parallel()
	evil := `</title><script>alert(1)</script>"'><img src=http://evil onerror=x>`
	share, core, start := 40.0, 3600.0, time.Unix(1700000000, 0)
	m := &efficiency.Metric{Value: &share, Unit: efficiency.Percent, Bound: efficiency.Upper}
	page := Page{
		Title: evil, From: start.Add(-time.Hour), To: start.Add(48 * time.Hour), Made: start, Source: evil,
		Jobs: []PageJob{{JobID: evil, Cluster: evil, Name: evil, State: evil, Verdict: evil, Start: &start, CPU: m, ElapsedS: &core, AllocatedCoreS: &core, UsedCoreS: &share}, {JobID: "2", Start: &start}},
	}
	var b bytes.Buffer
	if err := HTML(&b, page); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, bad := range []string{"<script", "<img", "onerror=x>\"", "src=", "href=", "url("} {
		if strings.Contains(strings.ReplaceAll(text, html.EscapeString(evil), ""), bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	if !strings.Contains(text, "<svg") || !strings.Contains(text, "≤ 40.0 %") || !strings.Contains(text, "1 jobs without a measured CPU") {
		t.Error("plot, bound or the count of unmeasured jobs is missing")
	}
}

func TestOverviewNamesTheJobThatWastedMost(t *testing.T) {
	t.Parallel()
	all := append(reportsOf(cases["well_sized"]), reportsOf(cases["wasteful"])...)
	all = append(all, reportsOf(cases["never_started"])...)
	o := OverviewOf(all, "ergon seff")
	if o.Jobs != 3 || o.Started != 2 || o.Failed != 1 || o.Worst == nil || o.Worst.Command != "ergon seff 11" {
		t.Fatalf("got %+v, worst %+v", o, o.Worst)
	}
	o.From, o.To, o.Source = time.Unix(0, 0), time.Unix(30*86400, 0), "from a test"
	var b bytes.Buffer
	if err := PrintOverview(&b, o, Style{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "overview", b.Bytes())
}

func TestLinesStayOneLineForEachJob(t *testing.T) {
	t.Parallel()
	r := reportsOf(cases["wasteful"])[0]
	r.Job.Name = "a\nb\x1b[2J\u202e"
	var b bytes.Buffer
	l := NewLines(&b, Style{})
	for range 2 {
		if err := l.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Count(b.String(), "\n") != 3 || strings.ContainsAny(b.String(), "\x1b\u202e") {
		t.Errorf("got %q", b.String())
	}
}
