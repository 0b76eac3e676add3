-- +goose Up
-- What stays of jobs that are kept no longer (ERGON_RETENTION_ACCOUNTING_DAYS): what `admin usage` says of them, per cluster, Slurm
-- account and bucket of time. from_quarter and to_quarter are quarters of an hour since 1970. A bucket is a month of UTC without
-- its edges, which stand in buckets of one quarter: so the months of every zone are sums of buckets (analytics.Bucket).
CREATE TABLE usage_sums (
    cluster_id TEXT NOT NULL REFERENCES clusters (id),
    account TEXT NOT NULL,
    from_quarter BIGINT NOT NULL,
    to_quarter BIGINT NOT NULL,
    cost_unit TEXT NOT NULL,
    started BIGINT NOT NULL,
    never_started BIGINT NOT NULL,
    jobs BIGINT NOT NULL,
    wait_known BIGINT NOT NULL,
    no_cpus BIGINT NOT NULL,
    no_nodes BIGINT NOT NULL,
    no_gpus BIGINT NOT NULL,
    energy_known BIGINT NOT NULL,
    energy_open BIGINT NOT NULL,
    costed BIGINT NOT NULL,
    carbon_known BIGINT NOT NULL,
    core_known BIGINT NOT NULL,
    byte_known BIGINT NOT NULL,
    gpus_known BIGINT NOT NULL,
    wall_s DOUBLE PRECISION NOT NULL,
    wait_s DOUBLE PRECISION NOT NULL,
    suspended_s DOUBLE PRECISION NOT NULL,
    cpu_s DOUBLE PRECISION NOT NULL,
    node_s DOUBLE PRECISION NOT NULL,
    gpu_s DOUBLE PRECISION NOT NULL,
    joules DOUBLE PRECISION NOT NULL,
    cost DOUBLE PRECISION NOT NULL,
    grams DOUBLE PRECISION NOT NULL,
    core_s DOUBLE PRECISION NOT NULL,
    byte_s DOUBLE PRECISION NOT NULL,
    gpus_s DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (cluster_id, account, from_quarter, cost_unit)
);

-- The same of job_ledgers.
CREATE TABLE ledger_sums (
    cluster_id TEXT NOT NULL REFERENCES clusters (id),
    account TEXT NOT NULL,
    from_quarter BIGINT NOT NULL,
    to_quarter BIGINT NOT NULL,
    resource TEXT NOT NULL,
    jobs BIGINT NOT NULL,
    allocated DOUBLE PRECISION NOT NULL,
    overuse DOUBLE PRECISION NOT NULL,
    used DOUBLE PRECISION NOT NULL,
    idle DOUBLE PRECISION NOT NULL,
    forced DOUBLE PRECISION NOT NULL,
    lost DOUBLE PRECISION NOT NULL,
    unmeasured DOUBLE PRECISION NOT NULL,
    oom DOUBLE PRECISION NOT NULL,
    timeout DOUBLE PRECISION NOT NULL,
    node_failure DOUBLE PRECISION NOT NULL,
    preemption DOUBLE PRECISION NOT NULL,
    requeue DOUBLE PRECISION NOT NULL,
    user_error DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (cluster_id, account, from_quarter, resource)
);

-- Up to which end (unix seconds, inclusive) the runs of a month of UTC, by its first second, were summed. A row of accounting that
-- ended until then and belongs to no stored run is not taken: it may stand in the sums already.
CREATE TABLE summed_months (
    cluster_id TEXT NOT NULL REFERENCES clusters (id),
    month_start BIGINT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (cluster_id, month_start)
);

-- Set where the row stays only because stored files refer to it.
ALTER TABLE jobs ADD COLUMN summed_at TIMESTAMPTZ;
CREATE INDEX jobs_summed ON jobs (summed_at) WHERE summed_at IS NOT NULL;

-- +goose Down
DROP INDEX jobs_summed;
ALTER TABLE jobs DROP COLUMN summed_at;
DROP TABLE summed_months;
DROP TABLE ledger_sums;
DROP TABLE usage_sums;
