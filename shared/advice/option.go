package advice

import (
	"fmt"
	"math"
)

const memoryStep = 64 << 20

// MemoryOption prints bytes as --mem takes them, rounded up to MiB.
func MemoryOption(bytes float64) string {
	mib := int64(math.Ceil(bytes / (1 << 20)))
	if mib%1024 == 0 {
		return fmt.Sprintf("%dG", mib/1024)
	}
	return fmt.Sprintf("%dM", mib)
}

func sizeText(bytes float64) string {
	const gib = 1 << 30
	if bytes >= gib {
		return fmt.Sprintf("%.3g GiB", bytes/gib)
	}
	return fmt.Sprintf("%.3g MiB", bytes/(1<<20))
}

// roundTime goes up to five minutes, or a quarter of an hour above two hours.
func roundTime(seconds float64) float64 {
	step := 300.0
	if seconds > 7200 {
		step = 900
	}
	return math.Ceil(seconds/step) * step
}

// TimeOption prints seconds as --time takes them, rounded up: H:MM:SS or D-HH:MM:SS.
func TimeOption(seconds float64) string {
	s := int64(math.Ceil(seconds))
	days, s := s/86400, s%86400
	if days > 0 {
		return fmt.Sprintf("%d-%02d:%02d:%02d", days, s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// roundCPUs goes up to whole CPUs, at least one.
func roundCPUs(v float64) float64 { return max(1, math.Ceil(v-1e-9)) }

// cpuDirective cuts tasks of one CPU, or the CPUs of one task.
func cpuDirective(t Target, v float64) string {
	if t.Tasks > 1 {
		return fmt.Sprintf("--ntasks=%.0f", v)
	}
	return fmt.Sprintf("--cpus-per-task=%.0f", v)
}
