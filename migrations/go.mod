module github.com/ergon-hpc/ergon/migrations

go 1.26
