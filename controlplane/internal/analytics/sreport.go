package analytics

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Charge is whose a use is.
type Charge struct{ Account, User string }

// SReport is what `sreport -P cluster AccountUtilizationByUser` (or UserUtilizationByAccount) printed of one cluster.
type SReport struct {
	Cluster string
	// From and To are the window that the output names; zero where it names none (-n).
	From, To time.Time
	CPUS     map[Charge]float64 // CPU-seconds of users; the sums of accounts are left out
}

// maxReport bounds the text of a report: a line is about 60 bytes.
const maxReport = 256 << 20

// sreportUnits are the words of `sreport -t` in CPU-seconds.
var sreportUnits = map[string]float64{"seconds": 1, "minutes": 60, "hours": 3600}

// ReadSReport reads the parsable output of sreport. Times are in loc, the zone of the process that ran it. unit is what
// `-t` said ("seconds"); the line above the table goes over it.
func ReadSReport(in io.Reader, loc *time.Location, unit string) (SReport, error) {
	rd := sreportReader{loc: loc, scale: sreportUnits[unit], out: SReport{CPUS: map[Charge]float64{}}}
	bounded := &io.LimitedReader{R: in, N: maxReport + 1}
	lines := bufio.NewScanner(bounded)
	for lines.Scan() {
		if err := rd.line(strings.TrimRight(lines.Text(), "\r")); err != nil {
			return SReport{}, err
		}
	}
	switch err := lines.Err(); {
	case err != nil:
		return SReport{}, fmt.Errorf("reading sreport's output: %w", err)
	case bounded.N <= 0:
		return SReport{}, fmt.Errorf("sreport's output is larger than %d MiB: ask it for a shorter time", maxReport>>20)
	case rd.columns == nil:
		return SReport{}, errors.New("this is no parsable output of sreport: no line names the columns Account, Login and Used (leave out -n, and give -P)")
	}
	return rd.out, nil
}

type sreportReader struct {
	loc     *time.Location
	scale   float64
	columns map[string]int
	out     SReport
}

func (rd *sreportReader) line(text string) error {
	switch fields := strings.Split(text, "|"); {
	case text == "" || strings.Trim(text, "-") == "":
		return nil
	case len(fields) == 1:
		return rd.preamble(text)
	case rd.columns == nil:
		return rd.header(fields)
	default:
		return rd.row(fields)
	}
}

// preamble reads the window and the unit, as in
// "Cluster/Account/User Utilization 2026-11-01T00:00:00 - 2026-11-30T23:59:59 (2592000 secs)" and "Usage reported in CPU Seconds".
func (rd *sreportReader) preamble(text string) error {
	if unit, ok := strings.CutPrefix(text, "Usage reported in "); ok {
		words := strings.Fields(strings.ToLower(unit))
		if len(words) > 0 {
			rd.scale = sreportUnits[words[len(words)-1]]
		}
		if rd.scale == 0 || len(words) == 0 {
			return fmt.Errorf("sreport's output is in %q: run it with -t Seconds", clip(unit))
		}
	}
	words := strings.Fields(text)
	for i := 1; i+1 < len(words); i++ {
		if words[i] != "-" {
			continue
		}
		from, errFrom := time.ParseInLocation("2006-01-02T15:04:05", words[i-1], rd.loc)
		to, errTo := time.ParseInLocation("2006-01-02T15:04:05", words[i+1], rd.loc)
		if errFrom == nil && errTo == nil {
			rd.out.From, rd.out.To = from, to.Add(time.Second).Truncate(time.Minute) // sreport prints the last second of it
		}
	}
	return nil
}

var sreportColumns = map[string]string{
	"account": "account", "accounts": "account", "login": "login", "used": "used", "cluster": "cluster", "tres name": "tres", "tresname": "tres",
}

func (rd *sreportReader) header(fields []string) error {
	rd.columns = map[string]int{}
	for i, f := range fields {
		if name, ok := sreportColumns[strings.ToLower(strings.TrimSpace(f))]; ok {
			rd.columns[name] = i
		}
	}
	for _, need := range []string{"account", "login", "used"} {
		if _, ok := rd.columns[need]; !ok {
			return fmt.Errorf("sreport's output has no column %s; use `sreport -P -t Seconds cluster AccountUtilizationByUser`", need)
		}
	}
	if rd.scale == 0 {
		return errors.New("sreport's output does not say its unit: leave the lines above the table in (no -n)")
	}
	return nil
}

func (rd *sreportReader) cell(fields []string, column string) string {
	i, ok := rd.columns[column]
	if !ok || i >= len(fields) {
		return ""
	}
	return strings.TrimSpace(fields[i])
}

func (rd *sreportReader) row(fields []string) error {
	if tres := rd.cell(fields, "tres"); tres != "" && tres != "cpu" {
		return nil
	}
	cluster, user := rd.cell(fields, "cluster"), rd.cell(fields, "login")
	switch {
	case rd.out.Cluster == "":
		rd.out.Cluster = cluster
	case cluster != rd.out.Cluster:
		return fmt.Errorf("sreport's output is about several clusters (%q, %q): give it cluster=NAME", clip(rd.out.Cluster), clip(cluster))
	}
	if user == "" {
		return nil // an account with all below it
	}
	used, err := strconv.ParseFloat(rd.cell(fields, "used"), 64)
	if err != nil || used < 0 {
		return fmt.Errorf("%q is no use in sreport's output: run it with -t Seconds, without percent", clip(rd.cell(fields, "used")))
	}
	rd.out.CPUS[Charge{rd.cell(fields, "account"), user}] += used * rd.scale
	return nil
}
