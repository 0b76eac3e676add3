module github.com/ergon-hpc/ergon/grafana

go 1.26
