// Package board holds Ergon's dashboards. What they show comes from the staff_ views of migrations/, nothing else.
package board

import "github.com/ergon-hpc/ergon/grafana/dashboard"

//go:generate go run ../cmd/gen ../dashboards

// All are the dashboards that are shipped.
func All() []dashboard.Dashboard { return []dashboard.Dashboard{Cluster(), Jobs()} }

// Units. Hours of cores and the like are no lengths of time, so they are suffixes.
const (
	count       = "short"
	plain       = "none"
	share       = "percentunit"
	coreHours   = "suffix:core-h"
	gibHours    = "suffix:GiB-h"
	gpuHours    = "suffix:GPU-h"
	energy      = "joule"
	seconds     = "s"
	bytes       = "bytes"
	ago         = "dateTimeFromNow"
	clusterUID  = "ergon-cluster"
	jobsUID     = "ergon-jobs"
	fullWidth   = 24
	half        = 12
	third       = 8
	sixth       = 4
	statHeight  = 4
	viewHeight  = 9
	tableHeight = 10
)

// reported ends the description of sums over reports.
const reported = " Sums cover the jobs whose report has the number; see \"Jobs with a report\"."

func number(title, description, unit, sql string) dashboard.Panel {
	return dashboard.Panel{
		Title: title, Description: description, Unit: unit, Width: sixth, View: dashboard.Stat{}, Decimals: decimals(unit),
		Query: dashboard.Query{SQL: sql},
	}
}

func decimals(unit string) *int {
	n := 0
	if unit == share {
		n = 1
	}
	return &n
}

func table(title, description string, width int, sql string, fields ...dashboard.Field) dashboard.Panel {
	return dashboard.Panel{
		Title: title, Description: description, Unit: plain, Width: width, View: dashboard.Table{},
		Query: dashboard.Query{SQL: sql}, Fields: fields,
	}
}

func bars(title, description, unit, sql string) dashboard.Panel {
	return dashboard.Panel{
		Title: title, Description: description, Unit: unit, Width: third, View: dashboard.Bars{}, Query: dashboard.Query{SQL: sql},
	}
}

func lines(title, description, unit, sql string, stacked bool) dashboard.Panel {
	return dashboard.Panel{
		Title: title, Description: description, Unit: unit, Width: half, View: dashboard.Lines{Stacked: stacked},
		Query: dashboard.Query{SQL: sql, Time: true}, MinInterval: "1h",
	}
}

func column(name, title, unit string) dashboard.Field {
	return dashboard.Field{Name: name, Title: title, Unit: unit}
}

func clusters() dashboard.Variable {
	return dashboard.Variable{
		Name: "cluster", Label: "Cluster", Description: "Clusters whose jobs are counted.",
		SQL: "SELECT DISTINCT cluster FROM staff_jobs ORDER BY cluster",
	}
}
