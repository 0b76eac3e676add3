package report

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

var blocks = []rune("▁▂▃▄▅▆▇█")

// sparkline draws a line of at most width characters from 0 to its greatest value; a gap in the data is a space.
func sparkline(values []*float64, width int) string {
	buckets := squeeze(values, width)
	top := 0.0
	for _, v := range buckets {
		if v != nil {
			top = max(top, *v)
		}
	}
	var b strings.Builder
	for _, v := range buckets {
		switch {
		case v == nil:
			b.WriteRune(' ')
		case top == 0:
			b.WriteRune(blocks[0])
		default:
			b.WriteRune(blocks[int(math.Round(max(0, *v)/top*float64(len(blocks)-1)))])
		}
	}
	return b.String()
}

// squeeze makes at most width buckets, each the greatest of its values: peaks are what the reader looks for.
func squeeze(values []*float64, width int) []*float64 {
	if len(values) <= width {
		return values
	}
	out := make([]*float64, width)
	for i, v := range values {
		at := i * width / len(values)
		if v != nil && (out[at] == nil || *v > *out[at]) {
			out[at] = v
		}
	}
	return out
}

// sparkNames are the lines worth a row, in order.
var sparkNames = []struct{ name, title string }{
	{"cpu_cores", "CPU"},
	{"memory", "Memory"},
	{"gpu_utilization", "GPU"},
	{"power", "Power"},
	{"read", "Read"},
	{"write", "Write"},
	{"network_in", "Net in"},
	{"network_out", "Net out"},
	{"filesystem_read", "FS read"},
	{"filesystem_write", "FS write"},
}

func (p *printer) sparks(s *efficiency.SeriesSet) {
	if s == nil || !p.style.Sparks {
		return
	}
	p.heading(fmt.Sprintf("Over time (%s)", Seconds(float64(s.Points)*s.Step)))
	for _, row := range sparkNames {
		for _, line := range s.Lines {
			if line.Name == row.name && line.Node == "" {
				p.spark(row.title, line)
			}
		}
	}
}

func (p *printer) spark(title string, line efficiency.Line) {
	top, measured := 0.0, false
	for _, v := range line.Values {
		if v != nil {
			top, measured = max(top, *v), true
		}
	}
	if measured {
		p.printf("  %-8s %s  0 – %s\n", title, sparkline(line.Values, p.style.width()-36), seriesValue(line.Name, top))
	}
}

func seriesValue(name string, v float64) string {
	switch name {
	case "memory", "gpu_memory":
		return Bytes(v)
	case "power":
		return scaled(v, 1000, wattUnits)
	case "gpu_utilization":
		return Percent(v)
	case "read", "write", "network_in", "network_out", "filesystem_read", "filesystem_write":
		return Bytes(v) + "/s"
	default:
		return significant(v) + " cores"
	}
}

// printer writes and keeps the first error.
type printer struct {
	out   io.Writer
	style Style
	err   error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format, args...)
	}
}

func (p *printer) heading(text string) { p.printf("\n%s\n", p.style.bold(text)) }
