package report

import (
	"time"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// Sizes of the plots in SVG's own units.
const (
	plotWidth  = 720.0
	plotHeight = 160.0
)

// dailyPlot is a bar for each day: core-hours used below, idle above. Jobs without both numbers are counted apart.
type dailyPlot struct {
	Bars       []dayBar
	Top        string
	First      string
	Last       string
	Unmeasured int
	Empty      bool
}

type dayBar struct {
	X, Width          float64
	UsedY, UsedHeight float64
	IdleY, IdleHeight float64
	Title             string
}

func daily(jobs []PageJob, from, to time.Time) (plot dailyPlot) {
	days := max(1, int(to.Sub(from).Hours()/24)+1)
	used, idle := make([]float64, days), make([]float64, days)
	for _, j := range jobs {
		if j.Start == nil {
			continue
		}
		if j.AllocatedCoreS == nil || j.UsedCoreS == nil {
			plot.Unmeasured++
			continue
		}
		at := min(days-1, max(0, int(j.Start.Sub(from).Hours()/24)))
		used[at] += min(*j.UsedCoreS, *j.AllocatedCoreS) / 3600
		idle[at] += j.wasted() / 3600
	}
	top := 0.0
	for i := range used {
		top = max(top, used[i]+idle[i])
	}
	if top == 0 {
		plot.Empty = true
		return plot
	}
	width := plotWidth / float64(days)
	for i := range used {
		u, w := used[i]/top*plotHeight, idle[i]/top*plotHeight
		date := from.AddDate(0, 0, i).Format("2006-01-02")
		plot.Bars = append(plot.Bars, dayBar{
			X: float64(i) * width, Width: width * 0.8, UsedY: plotHeight - u, UsedHeight: u, IdleY: plotHeight - u - w, IdleHeight: w,
			Title: date + ": " + significant(used[i]) + " core-h used, " + significant(idle[i]) + " idle",
		})
	}
	plot.Top, plot.First, plot.Last = significant(top)+" core-h", from.Format("2006-01-02"), to.Format("2006-01-02")
	return plot
}

// histogram counts jobs by tenths of a percentage; more than 100 % has a bin of its own.
type histogram struct {
	Title   string
	Bins    []bin
	Missing int
	Empty   bool
}

type bin struct {
	X, Y, Height float64
	Label, Title string
}

func histogramOf(title string, jobs []PageJob, pick func(PageJob) *efficiency.Metric) histogram {
	const bins = 11
	h := histogram{Title: title}
	var counts [bins]int
	top := 0
	for _, j := range jobs {
		m := pick(j)
		if m == nil || m.Value == nil {
			if j.Start != nil {
				h.Missing++
			}
			continue
		}
		at := binOf(*m.Value)
		counts[at]++
		top = max(top, counts[at])
	}
	if h.Empty = top == 0; h.Empty {
		return h
	}
	for i, n := range counts {
		height := float64(n) / float64(top) * plotHeight
		label := significant(float64(i)*10) + "–" + significant(float64(i+1)*10) + " %"
		if i == bins-1 {
			label = "over 100 %"
		}
		h.Bins = append(h.Bins, bin{X: float64(i) * 30, Y: plotHeight - height, Height: height, Label: label, Title: label + ": " + plural(int64(n), "job")})
	}
	return h
}

func binOf(percent float64) int {
	switch {
	case percent > 100:
		return 10
	case percent == 100:
		return 9
	default:
		return max(0, int(percent/10))
	}
}
