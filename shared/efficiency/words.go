package efficiency

import (
	"fmt"
	"math"
	"strconv"
)

// percent prints a percentage for people: three digits where it is small, none of
// them rounded to zero.
func percent(v float64) string {
	switch {
	case v == 0:
		return "0 %"
	case v < 10:
		return strconv.FormatFloat(v, 'g', 2, 64) + " %"
	case v > 99 && v < 100:
		return strconv.FormatFloat(math.Floor(v*10)/10, 'f', 1, 64) + " %"
	default:
		return strconv.FormatFloat(v, 'f', 0, 64) + " %"
	}
}

// size prints bytes as Slurm does, 1024-based, with one decimal.
func size(bytes float64) string {
	units := []string{"B", "K", "M", "G", "T", "P", "E"}
	i := 0
	for bytes >= 1024 && i < len(units)-1 {
		bytes /= 1024
		i++
	}
	if i == 0 || bytes >= 100 || bytes == math.Trunc(bytes) {
		return fmt.Sprintf("%.0f %s", bytes, units[i])
	}
	return fmt.Sprintf("%.1f %s", bytes, units[i])
}

// duration prints seconds for people, with the two largest units.
func duration(seconds float64) string {
	s := int64(clamp(math.Round(seconds), 1e15))
	switch {
	case s < 120:
		return fmt.Sprintf("%d s", s)
	case s < 2*3600:
		return fmt.Sprintf("%d min", (s+30)/60)
	case s < 48*3600:
		return twoUnits(s/3600, "h", s%3600/60, "min")
	default:
		return twoUnits(s/86400, "d", s%86400/3600, "h")
	}
}

func twoUnits(a int64, unitA string, b int64, unitB string) string {
	if b == 0 {
		return fmt.Sprintf("%d %s", a, unitA)
	}
	return fmt.Sprintf("%d %s %d %s", a, unitA, b, unitB)
}

// memoryOption is a value for --mem, rounded up: to 100 M below 2 G, else to whole G.
func memoryOption(bytes float64) string {
	const mib, gib = 1 << 20, 1 << 30
	if bytes < 2*gib {
		return fmt.Sprintf("%.0fM", memoryRounded(bytes)/mib)
	}
	return fmt.Sprintf("%.0fG", memoryRounded(bytes)/gib)
}

// memoryRounded is what memoryOption asks for, in bytes.
func memoryRounded(bytes float64) float64 {
	const mib, gib = 1 << 20, 1 << 30
	if bytes < 2*gib {
		return math.Max(1, math.Ceil(bytes/mib/100)) * 100 * mib
	}
	return math.Ceil(bytes/gib) * gib
}

// timeOption is a value for --time, rounded up to minutes below an hour, else to 15 minutes.
func timeOption(seconds float64) string {
	step := 900.0
	if seconds < 3600 {
		step = 60
	}
	s := int64(clamp(math.Ceil(seconds/step)*step, 1e12))
	if days := s / 86400; days > 0 {
		return fmt.Sprintf("%d-%02d:%02d:00", days, s%86400/3600, s%3600/60)
	}
	return fmt.Sprintf("%02d:%02d:00", s/3600, s%3600/60)
}
