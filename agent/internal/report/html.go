package report

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"time"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

//go:embed page.html
var pageText string

// HTML writes one self-contained page about many jobs: no script, no request to anywhere, plots as inline SVG. All text
// of the jobs is escaped, because names are hostile.
func HTML(out io.Writer, p Page) error {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return fmt.Errorf("reading the page's template: %w", err)
	}
	if err := t.Execute(out, p.view()); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

// Page is what a page of jobs shows.
type Page struct {
	Title    string
	Made     time.Time
	From, To time.Time
	Source   string
	Jobs     []PageJob
	// Totals are lines of name and value.
	Totals [][2]string
}

// PageJob is one job on a page. A pointer is nil where the number is not known.
type PageJob struct {
	JobID, Cluster, Name, State, Verdict string
	Start                                *time.Time
	ElapsedS                             *float64
	CPU, Memory, Time                    *efficiency.Metric
	// AllocatedCoreS and UsedCoreS are core-seconds.
	AllocatedCoreS, UsedCoreS *float64
}

// pageView is what the template sees: words and numbers ready to print.
type pageView struct {
	Page
	Daily    dailyPlot
	CPUPlot  histogram
	MemPlot  histogram
	TimePlot histogram
	Rows     []pageRow
	MoreRows int
	When     string
	Period   string
}

type pageRow struct{ JobID, Cluster, Name, State, CPU, Memory, Time, Elapsed, Wasted, Verdict string }

// maxRows keeps the page small; the list of all is ergon jobs -o csv.
const maxRows = 500

func (p Page) view() pageView {
	const day = "2006-01-02"
	v := pageView{
		Page: p, Daily: daily(p.Jobs, p.From, p.To), When: p.Made.Format("2006-01-02 15:04"), Period: p.From.Format(day) + " to " + p.To.Format(day),
		CPUPlot:  histogramOf("CPU used of allocated", p.Jobs, func(j PageJob) *efficiency.Metric { return j.CPU }),
		MemPlot:  histogramOf("Memory used of allocated", p.Jobs, func(j PageJob) *efficiency.Metric { return j.Memory }),
		TimePlot: histogramOf("Time used of the limit", p.Jobs, func(j PageJob) *efficiency.Metric { return j.Time }),
	}
	jobs := slices.Clone(p.Jobs)
	slices.SortStableFunc(jobs, func(a, b PageJob) int { return cmp.Compare(b.wasted(), a.wasted()) })
	v.MoreRows = max(0, len(jobs)-maxRows)
	for _, j := range jobs[:min(len(jobs), maxRows)] {
		v.Rows = append(v.Rows, j.row())
	}
	return v
}

// wasted is 0 where it is not known: such jobs stand last.
func (j PageJob) wasted() float64 {
	if j.AllocatedCoreS == nil || j.UsedCoreS == nil {
		return 0
	}
	return max(0, *j.AllocatedCoreS-*j.UsedCoreS)
}

func (j PageJob) row() pageRow {
	r := pageRow{
		JobID: j.JobID, Cluster: j.Cluster, Name: j.Name, State: j.State, CPU: metricText(j.CPU), Memory: metricText(j.Memory),
		Time: metricText(j.Time), Elapsed: "–", Wasted: "–", Verdict: j.Verdict,
	}
	if j.ElapsedS != nil {
		r.Elapsed = Seconds(*j.ElapsedS)
	}
	if j.AllocatedCoreS != nil && j.UsedCoreS != nil {
		r.Wasted = PerHour(j.wasted(), "core")
	}
	return r
}

func metricText(m *efficiency.Metric) string {
	if m == nil || m.Value == nil {
		return "–"
	}
	return boundSigns[m.Bound] + amount(*m.Value, m.Unit)
}
