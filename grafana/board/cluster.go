package board

import "github.com/ergon-hpc/ergon/grafana/dashboard"

// ended are the jobs of a query: those that ended in the window of time, on the chosen clusters.
const ended = "FROM staff_jobs WHERE $__timeFilter(end_at) AND cluster IN (${cluster:sqlstring})"

// Cluster is what a cluster's jobs used and wasted.
func Cluster() dashboard.Dashboard {
	return dashboard.Dashboard{
		UID: clusterUID, Title: "Ergon: cluster efficiency", From: "now-30d", Tags: []string{"staff"},
		Description: "What jobs that ended in the window of time had, used and wasted. For staff: it names users and accounts.",
		Variables:   []dashboard.Variable{clusters()},
		Rows: []dashboard.Row{
			{Height: statHeight, Panels: clusterCPU()},
			{Height: statHeight, Panels: clusterOther()},
			{Height: viewHeight, Panels: clusterTime()},
			{Height: viewHeight, Panels: clusterPartitions()},
			{Height: tableHeight, Panels: []dashboard.Panel{wastefulAccounts(), failures()}},
			{Height: tableHeight, Panels: []dashboard.Panel{timeLimits(), waiting()}},
			{Height: tableHeight, Panels: []dashboard.Panel{agents(), freshness()}},
		},
	}
}

func clusterCPU() []dashboard.Panel {
	return []dashboard.Panel{
		number("Jobs ended", "Jobs whose end lies in the window of time, as accounting says. Each array task counts.", count,
			"SELECT count(*) AS jobs "+ended),
		number("Jobs with a report", "Share of the ended jobs that have been analysed. The sums beside know nothing of the others.", share,
			"SELECT avg(has_report) AS share "+ended),
		number("Core-hours allocated", "Allocated CPUs × elapsed time, of all attempts. CPUs may be hardware threads."+reported, coreHours,
			"SELECT sum(cpu_allocated_core_h) AS core_h "+ended),
		number("Core-hours used", "CPU time of attempts that were not lost; what failed attempts took is in the waste."+reported, coreHours,
			"SELECT sum(cpu_used_core_h) AS core_h "+ended),
		number("Share of core-hours used", "Core-hours used ÷ allocated, over jobs where both are known: large jobs weigh more, failed ones count with 0.", share,
			"SELECT sum(cpu_used_core_h) / NULLIF(sum(cpu_allocated_core_h), 0) AS share "+ended+
				" AND cpu_used_core_h IS NOT NULL AND cpu_allocated_core_h IS NOT NULL"),
		number("Core-hours wasted", "Idle or lost: allocated and not used, or taken by attempts that failed."+reported, coreHours,
			"SELECT sum(wasted_core_h) AS core_h "+ended),
	}
}

func clusterOther() []dashboard.Panel {
	return []dashboard.Panel{
		number("GiB-hours allocated", "Allocated memory × elapsed time."+reported, gibHours,
			"SELECT sum(memory_allocated_byte_h) / 1073741824 AS gib_h "+ended),
		number("GiB-hours wasted", "Allocated memory above the job's peak × elapsed time, and all of it in attempts that failed. A lower bound, since use is counted at its peak."+reported, gibHours,
			"SELECT sum(wasted_memory_byte_h) / 1073741824 AS gib_h "+ended),
		number("Share of memory used", "Peak memory × elapsed time ÷ allocated, over jobs where both are known; failed jobs count with 0. Slurm samples, so short peaks can be missed.", share,
			"SELECT sum(memory_used_byte_h) / NULLIF(sum(memory_allocated_byte_h), 0) AS share "+ended+
				" AND memory_used_byte_h IS NOT NULL AND memory_allocated_byte_h IS NOT NULL"),
		number("GPU-hours allocated", "Allocated GPUs × elapsed time."+reported, gpuHours,
			"SELECT sum(gpu_allocated_h) AS gpu_h "+ended),
		number("GPU-hours wasted", "Idle or lost GPU time. Known only where Slurm records GPU utilisation."+reported, gpuHours,
			"SELECT sum(wasted_gpu_h) AS gpu_h "+ended),
		number("Energy", "Energy as Slurm's accounting or the profiles measured it; the report of a job says from which."+reported, energy,
			"SELECT sum(energy_j) AS j "+ended),
	}
}

func clusterTime() []dashboard.Panel {
	return []dashboard.Panel{
		lines("Core-hours by time of end", "Allocated and used core-hours of the jobs that ended in each bucket: a long job counts where it ends."+reported, coreHours,
			"SELECT $__timeGroupAlias(end_at,$__interval), sum(cpu_allocated_core_h) AS allocated, sum(cpu_used_core_h) AS used "+ended+
				" GROUP BY 1 ORDER BY 1", false),
		lines("Jobs ended by state", "Jobs that ended in each bucket, by Slurm's own word for their end.", count,
			"SELECT $__timeGroupAlias(end_at,$__interval), slurm_state AS metric, count(*) AS jobs "+ended+
				" GROUP BY 1, 2 ORDER BY 1, 2", true),
	}
}

func clusterPartitions() []dashboard.Panel {
	return []dashboard.Panel{
		bars("Share of core-hours used, by partition", "Core-hours used ÷ allocated, over jobs where both are known; failed jobs count with 0.", share,
			"SELECT partition_name, sum(cpu_used_core_h) / NULLIF(sum(cpu_allocated_core_h), 0) AS share "+ended+
				" AND cpu_used_core_h IS NOT NULL AND cpu_allocated_core_h IS NOT NULL GROUP BY 1 ORDER BY 1"),
		bars("Share of memory used, by partition", "Peak memory × elapsed time ÷ allocated, over jobs where both are known; failed jobs count with 0.", share,
			"SELECT partition_name, sum(memory_used_byte_h) / NULLIF(sum(memory_allocated_byte_h), 0) AS share "+ended+
				" AND memory_used_byte_h IS NOT NULL AND memory_allocated_byte_h IS NOT NULL GROUP BY 1 ORDER BY 1"),
		bars("Core-hours wasted by partition", "Idle or lost core-hours."+reported, coreHours,
			"SELECT partition_name, sum(wasted_core_h) AS core_h "+ended+" AND wasted_core_h IS NOT NULL GROUP BY 1 ORDER BY 2 DESC"),
	}
}
