-- +goose Up
-- What stays of jobs that are kept no longer (ERGON_RETENTION_ACCOUNTING_DAYS): what `admin usage` says of them, per cluster, Slurm
-- account and bucket of time. from_quarter and to_quarter are quarters of an hour since 1970. A bucket is a month of UTC without
-- its edges, which stand in buckets of one quarter: so the months of every zone are sums of buckets (analytics.Bucket).
CREATE TABLE usage_sums (
    cluster_id TEXT NOT NULL REFERENCES clusters (id),
    account TEXT NOT NULL,
    from_quarter INTEGER NOT NULL,
    to_quarter INTEGER NOT NULL,
    cost_unit TEXT NOT NULL,
    started INTEGER NOT NULL,
    never_started INTEGER NOT NULL,
    jobs INTEGER NOT NULL,
    wait_known INTEGER NOT NULL,
    no_cpus INTEGER NOT NULL,
    no_nodes INTEGER NOT NULL,
    no_gpus INTEGER NOT NULL,
    energy_known INTEGER NOT NULL,
    energy_open INTEGER NOT NULL,
    costed INTEGER NOT NULL,
    carbon_known INTEGER NOT NULL,
    core_known INTEGER NOT NULL,
    byte_known INTEGER NOT NULL,
    gpus_known INTEGER NOT NULL,
    wall_s REAL NOT NULL,
    wait_s REAL NOT NULL,
    suspended_s REAL NOT NULL,
    cpu_s REAL NOT NULL,
    node_s REAL NOT NULL,
    gpu_s REAL NOT NULL,
    joules REAL NOT NULL,
    cost REAL NOT NULL,
    grams REAL NOT NULL,
    core_s REAL NOT NULL,
    byte_s REAL NOT NULL,
    gpus_s REAL NOT NULL,
    PRIMARY KEY (cluster_id, account, from_quarter, cost_unit)
);

-- The same of job_ledgers.
CREATE TABLE ledger_sums (
    cluster_id TEXT NOT NULL REFERENCES clusters (id),
    account TEXT NOT NULL,
    from_quarter INTEGER NOT NULL,
    to_quarter INTEGER NOT NULL,
    resource TEXT NOT NULL,
    jobs INTEGER NOT NULL,
    allocated REAL NOT NULL,
    overuse REAL NOT NULL,
    used REAL NOT NULL,
    idle REAL NOT NULL,
    forced REAL NOT NULL,
    lost REAL NOT NULL,
    unmeasured REAL NOT NULL,
    oom REAL NOT NULL,
    timeout REAL NOT NULL,
    node_failure REAL NOT NULL,
    preemption REAL NOT NULL,
    requeue REAL NOT NULL,
    user_error REAL NOT NULL,
    PRIMARY KEY (cluster_id, account, from_quarter, resource)
);

-- Up to which end (unix seconds, inclusive) the runs of a month of UTC, by its first second, were summed. A row of accounting that
-- ended until then and belongs to no stored run is not taken: it may stand in the sums already.
CREATE TABLE summed_months (
    cluster_id TEXT NOT NULL REFERENCES clusters (id),
    month_start INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (cluster_id, month_start)
);

-- Set where the row stays only because stored files refer to it.
ALTER TABLE jobs ADD COLUMN summed_at INTEGER;
CREATE INDEX jobs_summed ON jobs (summed_at) WHERE summed_at IS NOT NULL;

-- +goose Down
DROP INDEX jobs_summed;
ALTER TABLE jobs DROP COLUMN summed_at;
DROP TABLE summed_months;
DROP TABLE ledger_sums;
DROP TABLE usage_sums;
