package board

import "github.com/ergon-hpc/ergon/grafana/dashboard"

// jobColumns are what a line about one job shows.
const jobColumns = "slurm_job_id, cluster, unix_user, account, partition_name, job_name, slurm_state, start_at, end_at, elapsed_s, nodes, cpus, gpus, " +
	"memory_bytes, cpu_share_used, memory_share_used, time_limit_used, wasted_core_h, energy_j"

func jobFields() []dashboard.Field {
	user := column("unix_user", "User", "")
	user.Link = &dashboard.Link{Title: "Jobs of this user", UID: jobsUID, Vars: map[string]string{"user": "unix_user"}, Keep: []string{"cluster"}}
	return []dashboard.Field{
		column("slurm_job_id", "Job", ""), column("cluster", "Cluster", ""), user, column("account", "Account", ""),
		column("partition_name", "Partition", ""), column("job_name", "Name", ""), column("slurm_state", "State", ""),
		column("start_at", "Start", ""), column("end_at", "End", ""), column("elapsed_s", "Elapsed", seconds), column("nodes", "Nodes", ""), column("cpus", "CPUs", ""),
		column("gpus", "GPUs", ""), column("memory_bytes", "Memory", bytes), column("cpu_share_used", "CPU used", share),
		column("memory_share_used", "Memory used", share), column("time_limit_used", "Of time limit", share),
		column("wasted_core_h", "Wasted", coreHours), column("energy_j", "Energy", energy),
	}
}

func wastefulJobs() dashboard.Panel {
	return table("Jobs that wasted most core-hours", "The 50 ended jobs with the most core-hours idle or lost. A failed job counts as lost, with 0 used. Jobs without a report cannot stand here.",
		fullWidth, "SELECT "+jobColumns+" "+endedOf+" AND wasted_core_h IS NOT NULL ORDER BY wasted_core_h DESC, slurm_job_id LIMIT 50", jobFields()...)
}

func latestJobs() dashboard.Panel {
	return table("Latest jobs", "The 200 jobs that ended last in the window of time, with or without a report. An empty cell is a number that is not known.",
		fullWidth, "SELECT "+jobColumns+" "+endedOf+" ORDER BY end_at DESC, slurm_job_id LIMIT 200", jobFields()...)
}

func jobUsers() dashboard.Panel {
	user := column("unix_user", "User", "")
	user.Link = &dashboard.Link{Title: "Jobs of this user", UID: jobsUID, Vars: map[string]string{"user": "unix_user"}, Keep: []string{"cluster"}}
	return table("Users by core-hours wasted", "The 20 users with the most core-hours idle or lost."+reported, half,
		"SELECT unix_user, count(*) AS jobs, avg(CASE WHEN state = 'FAILED' THEN 1 ELSE 0 END) AS failed, sum(wasted_core_h) AS wasted "+endedOf+
			" GROUP BY 1 ORDER BY 4 DESC NULLS LAST, 1 LIMIT 20",
		user, column("jobs", "Jobs", count), column("failed", "Without success", share), column("wasted", "Wasted", coreHours))
}

func pendingReasons() dashboard.Panel {
	return table("Why jobs are pending", "Pending jobs by Slurm's reason, when they were last heard of. Independent of the window of time.", half,
		"SELECT CASE WHEN reason = '' THEN 'not known' ELSE reason END AS reason, count(*) AS jobs, count(DISTINCT unix_user) AS users, min(submit_at) AS oldest "+
			"FROM staff_jobs WHERE state = 'PENDING' AND "+whose+" GROUP BY 1 ORDER BY 2 DESC, 1",
		column("reason", "Reason", ""), column("jobs", "Jobs", count), column("users", "Users", count), column("oldest", "Oldest submission", ago))
}
