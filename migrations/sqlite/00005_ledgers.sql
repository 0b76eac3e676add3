-- +goose Up
-- Where the resources of a job went (shared/efficiency, Ledger), one row for each resource that is known: core_s, byte_s, gpu_s,
-- joule. In each row allocated + overuse = used + idle + forced + lost + unmeasured, and the lost_ columns add up to lost.
CREATE TABLE job_ledgers (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    resource TEXT NOT NULL,
    allocated REAL NOT NULL,
    overuse REAL NOT NULL,
    used REAL NOT NULL,
    idle REAL NOT NULL,
    forced REAL NOT NULL,
    lost REAL NOT NULL,
    unmeasured REAL NOT NULL,
    lost_oom REAL NOT NULL,
    lost_timeout REAL NOT NULL,
    lost_node_failure REAL NOT NULL,
    lost_preemption REAL NOT NULL,
    lost_requeue REAL NOT NULL,
    lost_user_error REAL NOT NULL,
    PRIMARY KEY (job_id, resource)
);

-- Measured energy of a shared node could not be split yet: how busy the other jobs were there is not known.
ALTER TABLE reports ADD COLUMN energy_open BOOLEAN NOT NULL DEFAULT FALSE;

-- What became of fetching a tariff. etag and last_modified are the server's own words, for asking whether something changed.
CREATE TABLE tariff_fetches (
    kind TEXT NOT NULL,
    zone TEXT NOT NULL,
    url TEXT NOT NULL,
    etag TEXT NOT NULL,
    last_modified TEXT NOT NULL,
    tried_at INTEGER NOT NULL,
    answered_at INTEGER,
    failures INTEGER NOT NULL,
    error TEXT NOT NULL,
    PRIMARY KEY (kind, zone)
);

-- The ledgers of stored reports are filled in by the analysis, which computes nothing where the inputs are the same.
UPDATE jobs SET analysis_due = TRUE WHERE id IN (SELECT job_id FROM reports);

-- +goose Down
DROP TABLE tariff_fetches;
ALTER TABLE reports DROP COLUMN energy_open;
DROP TABLE job_ledgers;
