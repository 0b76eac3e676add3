package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// significant prints a number with three significant digits and no needless zeros.
func significant(v float64) string {
	if v == 0 {
		return "0"
	}
	digits := max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// scaled prints v with the largest unit that leaves a number of at least one.
func scaled(v, base float64, units []string) string {
	i := 0
	for math.Abs(v) >= base && i < len(units)-1 {
		v /= base
		i++
	}
	return strings.TrimSpace(significant(v) + " " + units[i])
}

var (
	byteUnits  = []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	jouleUnits = []string{"J", "kJ", "MJ", "GJ", "TJ"}
	wattUnits  = []string{"W", "kW", "MW"}
	edpUnits   = []string{"J·s", "kJ·s", "MJ·s", "GJ·s", "TJ·s", "PJ·s", "EJ·s"}
)

// Bytes prints an amount of memory in binary units (IEC 80000-13).
func Bytes(v float64) string { return scaled(v, 1024, byteUnits) }

// Percent prints one decimal; 0.04 stays 0.04, since a GPU at 0.04 % is not idle.
func Percent(v float64) string {
	if v != 0 && math.Abs(v) < 1 {
		return significant(v) + " %"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " %"
}

// Seconds prints a duration as people say it: 53 s, 1 h 05 min, 2 d 03 h.
func Seconds(v float64) string {
	d := time.Duration(math.Round(v)) * time.Second
	switch {
	case v < 60:
		return significant(math.Round(v*10)/10) + " s"
	case v < 3600:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	case v < 86400:
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%d d %02d h", int(d.Hours())/24, int(d.Hours())%24)
	}
}

// PerHour prints something-seconds as something-hours, or as seconds below a minute of them.
func PerHour(v float64, what string) string {
	if math.Abs(v) < 60 {
		return significant(v) + " " + what + "-s"
	}
	return significant(v/3600) + " " + what + "-h"
}

// ByteHours prints byte-seconds as GiB-hours.
func ByteHours(v float64) string { return PerHour(v/(1<<30), "GiB") }

// plural prints a count with its noun.
func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
