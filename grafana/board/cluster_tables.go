package board

import "github.com/ergon-hpc/ergon/grafana/dashboard"

func wastefulAccounts() dashboard.Panel {
	account := column("account", "Account", "")
	account.Link = &dashboard.Link{Title: "Jobs of this account", UID: jobsUID, Vars: map[string]string{"account": "account"}, Keep: []string{"cluster"}}
	return table("Accounts that waste most core-hours", "The 20 Slurm accounts with the most core-hours idle or lost, over jobs where use is known.", half,
		"SELECT account, count(*) AS jobs, sum(cpu_allocated_core_h) AS allocated, sum(wasted_core_h) AS wasted, "+
			"sum(cpu_used_core_h) / NULLIF(sum(cpu_allocated_core_h), 0) AS share "+ended+
			" AND cpu_used_core_h IS NOT NULL AND cpu_allocated_core_h IS NOT NULL GROUP BY 1 ORDER BY 4 DESC NULLS LAST, 1 LIMIT 20",
		account, column("jobs", "Jobs", count), column("allocated", "Allocated", coreHours),
		column("wasted", "Wasted", coreHours), column("share", "Share used", share))
}

func failures() dashboard.Panel {
	return table("Ends without success, and what they took",
		"Attempts that ended in another state than COMPLETED, with allocated CPUs × elapsed time. A requeued job counts once for each attempt.", half,
		"SELECT slurm_state, count(*) AS attempts, count(DISTINCT unix_user) AS users, sum(core_h) AS core_h FROM staff_attempts "+
			"WHERE $__timeFilter(end_at) AND cluster IN (${cluster:sqlstring}) AND slurm_state <> 'COMPLETED' GROUP BY 1 ORDER BY 4 DESC NULLS LAST, 1",
		column("slurm_state", "State", ""), column("attempts", "Attempts", count), column("users", "Users", count), column("core_h", "Core-hours", coreHours))
}

func timeLimits() dashboard.Panel {
	return table("Time limits: how much of them was used",
		"Elapsed time ÷ time limit of completed jobs that had a limit: the median, and what nine of ten stayed below.", half,
		"SELECT partition_name, count(*) AS jobs, percentile_cont(0.5) WITHIN GROUP (ORDER BY time_limit_used) AS median, "+
			"percentile_cont(0.9) WITHIN GROUP (ORDER BY time_limit_used) AS p90 "+ended+
			" AND slurm_state = 'COMPLETED' AND time_limit_used IS NOT NULL GROUP BY 1 ORDER BY 3, 1",
		column("partition_name", "Partition", ""), column("jobs", "Jobs", count), column("median", "Median", share), column("p90", "90 % below", share))
}

func waiting() dashboard.Panel {
	return table("Waiting time", "From submission to start, of attempts that started in the window of time. Held and dependent jobs count too.", half,
		"SELECT partition_name, count(*) AS attempts, percentile_cont(0.5) WITHIN GROUP (ORDER BY wait_s) AS median, "+
			"percentile_cont(0.9) WITHIN GROUP (ORDER BY wait_s) AS p90, max(wait_s) AS longest FROM staff_attempts "+
			"WHERE $__timeFilter(start_at) AND cluster IN (${cluster:sqlstring}) AND wait_s IS NOT NULL GROUP BY 1 ORDER BY 3 DESC, 1",
		column("partition_name", "Partition", ""), column("attempts", "Attempts", count), column("median", "Median", seconds),
		column("p90", "90 % below", seconds), column("longest", "Longest", seconds))
}

func agents() dashboard.Panel {
	return table("Agents", "When each agent that is not revoked was last heard of by the control plane. Independent of the window of time.", half,
		"SELECT agent, cluster, kind, version, last_seen_at FROM staff_agents "+
			"WHERE revoked_at IS NULL AND cluster IN (${cluster:sqlstring}) ORDER BY last_seen_at NULLS FIRST, agent",
		column("agent", "Agent", ""), column("cluster", "Cluster", ""), column("kind", "Kind", ""),
		column("version", "Version", ""), column("last_seen_at", "Last heard of", ago))
}

func freshness() dashboard.Panel {
	return table("Freshness", "The newest accounting that came in per cluster, and ended jobs that have no report yet. Independent of the window of time.", half,
		"SELECT cluster, max(accounting_at) AS newest, count(*) AS jobs, count(*) - sum(has_report) AS without_report FROM staff_jobs "+
			"WHERE end_at IS NOT NULL AND cluster IN (${cluster:sqlstring}) GROUP BY 1 ORDER BY 1",
		column("cluster", "Cluster", ""), column("newest", "Newest accounting", ago), column("jobs", "Ended jobs", count),
		column("without_report", "Without report", count))
}
