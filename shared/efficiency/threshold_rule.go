package efficiency

import "reflect"

// Thresholds lists the settings that decide whether the rule speaks, by their names in
// a site's file. Rules that always speak have none.
func (r Rule) Thresholds() []string {
	const long = "min_elapsed_seconds"
	switch r {
	case RuleIdleGPU:
		return []string{"idle_gpu_percent", long}
	case RuleLowGPU:
		return []string{"idle_gpu_percent", "low_gpu_percent", long}
	case RuleIdleNode:
		return []string{"idle_node_percent", long}
	case RuleSerialOnManyCores:
		return []string{"serial_cores", "serial_min_cpus", long}
	case RuleMemoryOver:
		return []string{"memory_over_percent", "memory_over_min_bytes", "memory_margin", "memory_min_intervals", long}
	case RuleTimeOver:
		return []string{"time_over_percent", "time_over_min_seconds", long}
	case RuleMemoryNearLimit:
		return []string{"memory_near_percent"}
	case RulePageCache:
		return []string{"page_cache_percent"}
	case RuleCoresPerGPU:
		return []string{"cores_per_gpu_percent", "cores_per_gpu_min", long}
	case RuleMemoryPerGPU:
		return []string{"memory_per_gpu_percent", "memory_per_gpu_min_bytes", "memory_min_intervals", long}
	case RuleImbalance:
		return []string{"imbalance_ratio"}
	case RuleOversubscription:
		return []string{"oversubscription_percent"}
	case RuleMemoryLeak:
		return []string{"leak_bytes_per_hour", "leak_growth_percent", long}
	case RuleTooShort:
		return []string{"too_short_seconds"}
	case RuleSourceDisagreement:
		return []string{"disagreement_percent"}
	default:
		return nil
	}
}

// named is the value of a threshold by its name in a site's file.
func (t Thresholds) named(name string) (value float64, ok bool) {
	fields := reflect.TypeFor[Thresholds]()
	for i := range fields.NumField() {
		if fields.Field(i).Tag.Get("json") == name {
			return reflect.ValueOf(t).Field(i).Convert(reflect.TypeFor[float64]()).Float(), true
		}
	}
	return 0, false
}
