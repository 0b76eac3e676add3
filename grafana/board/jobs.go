package board

import "github.com/ergon-hpc/ergon/grafana/dashboard"

// whose narrows a query by the fields at the top of the page; an empty field narrows nothing.
const whose = "cluster IN (${cluster:sqlstring}) AND (${user:sqlstring} = '' OR unix_user = ${user:sqlstring})" +
	" AND (${account:sqlstring} = '' OR account = ${account:sqlstring})"

const endedOf = "FROM staff_jobs WHERE $__timeFilter(end_at) AND " + whose

// Jobs is single jobs: the wasteful ones first.
func Jobs() dashboard.Dashboard {
	return dashboard.Dashboard{
		UID: jobsUID, Title: "Ergon: jobs", From: "now-7d", Tags: []string{"staff"},
		Description: "Jobs of a user, an account or a cluster, the most wasteful first. For staff: it names users and jobs.",
		Variables: []dashboard.Variable{
			clusters(),
			{Name: "user", Label: "User", Description: "Login name; empty: all."},
			{Name: "account", Label: "Account", Description: "Slurm account; empty: all."},
		},
		Rows: []dashboard.Row{
			{Height: statHeight, Panels: jobNumbers()},
			{Height: viewHeight, Panels: []dashboard.Panel{endsByState(), jobEfficiency(), jobMemory()}},
			{Height: tableHeight, Panels: []dashboard.Panel{wastefulJobs()}},
			{Height: tableHeight, Panels: []dashboard.Panel{latestJobs()}},
			{Height: tableHeight, Panels: []dashboard.Panel{jobUsers(), pendingReasons()}},
		},
	}
}

func jobNumbers() []dashboard.Panel {
	return []dashboard.Panel{
		number("Jobs ended", "Jobs whose end lies in the window of time. Each array task counts.", count, "SELECT count(*) AS jobs "+endedOf),
		number("Ended without success", "Share of the ended jobs in the API state FAILED: every end but COMPLETED.", share,
			"SELECT avg(CASE WHEN state = 'FAILED' THEN 1 ELSE 0 END) AS share "+endedOf),
		number("Jobs with a report", "Share of the ended jobs that have been analysed.", share, "SELECT avg(has_report) AS share "+endedOf),
		number("Core-hours wasted", "Idle or lost: allocated and not used, or taken by attempts that failed."+reported, coreHours, "SELECT sum(wasted_core_h) AS core_h "+endedOf),
		number("Running now", "Jobs in the API state RUNNING when they were last heard of. Independent of the window of time.", count,
			"SELECT count(*) AS jobs FROM staff_jobs WHERE state = 'RUNNING' AND "+whose),
		number("Pending now", "Jobs in the API state PENDING when they were last heard of. Independent of the window of time.", count,
			"SELECT count(*) AS jobs FROM staff_jobs WHERE state = 'PENDING' AND "+whose),
	}
}

func endsByState() dashboard.Panel {
	p := lines("Jobs ended by state", "Jobs that ended in each bucket, by Slurm's own word for their end.", count,
		"SELECT $__timeGroupAlias(end_at,$__interval), slurm_state AS metric, count(*) AS jobs "+endedOf+" GROUP BY 1, 2 ORDER BY 1, 2", true)
	p.Width = third
	return p
}

func jobEfficiency() dashboard.Panel {
	return bars("Completed jobs by CPU efficiency", "How many completed jobs used which tenth of their core-hours. Jobs without that number are left out.", count,
		tenths("cpu_share_used"))
}

func jobMemory() dashboard.Panel {
	return bars("Completed jobs by memory efficiency", "How many completed jobs had their peak in which tenth of their memory. Jobs without that number are left out.", count,
		tenths("memory_share_used"))
}

// tenths counts jobs by the tenth in which a share between 0 and 1 lies; 100 % and more is in the last.
func tenths(share string) string {
	tenth := "least(greatest(floor(" + share + " * 10), 0), 9)::int"
	return "SELECT lpad((10 * tenth)::text, 2) || ' to ' || (10 * tenth + 10)::text || ' %' AS used, count(*) AS jobs FROM (SELECT " + tenth + " AS tenth " + endedOf +
		" AND slurm_state = 'COMPLETED' AND " + share + " IS NOT NULL) AS t GROUP BY tenth ORDER BY tenth"
}
