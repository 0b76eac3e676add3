-- +goose Up
-- Quotas that a site gave: scope user (subject: id of the account), role (the role's word) or cluster (id of the cluster, for whoever is
-- linked there). Where no rule fits the site's default holds; quotas.limit_* repeat what held when something was last reserved.
CREATE TABLE quota_rules (
    scope TEXT NOT NULL,
    subject TEXT NOT NULL,
    limit_bytes INTEGER NOT NULL,
    limit_objects INTEGER NOT NULL,
    PRIMARY KEY (scope, subject)
);
-- What differs from the default of the versions before was given by an administrator.
INSERT INTO quota_rules (scope, subject, limit_bytes, limit_objects)
SELECT 'user', user_id, limit_bytes, limit_objects FROM quotas WHERE limit_bytes <> 107374182400 OR limit_objects <> 1000000;

-- The same books for each job; the rows of uploads and objects are the truth for both.
CREATE TABLE job_quotas (
    job_id TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    used_bytes INTEGER NOT NULL DEFAULT 0,
    used_objects INTEGER NOT NULL DEFAULT 0,
    reserved_bytes INTEGER NOT NULL DEFAULT 0,
    reserved_objects INTEGER NOT NULL DEFAULT 0
);
INSERT INTO job_quotas (job_id, used_bytes, used_objects, reserved_bytes, reserved_objects)
SELECT b.job_id, SUM(b.used_bytes), SUM(b.used_objects), SUM(b.reserved_bytes), SUM(b.reserved_objects) FROM (
    SELECT job_id, size_bytes AS used_bytes, 1 AS used_objects, 0 AS reserved_bytes, 0 AS reserved_objects
    FROM objects WHERE job_id IS NOT NULL
    UNION ALL
    SELECT job_id, 0, 0, size_bytes, 1 FROM uploads WHERE job_id IS NOT NULL AND status = 'reserved'
) b GROUP BY b.job_id;

-- For retention by class.
CREATE INDEX objects_class ON objects (class, created_at);

-- Accounts that are being deleted, and the receipts of those that were: step is the next one to do. user_id names no row
-- any more once the rows are gone. quiet_at: no URL that was given out before can be in use after it.
CREATE TABLE erasures (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL UNIQUE,
    requested_by TEXT NOT NULL,
    step TEXT NOT NULL,
    removed_objects INTEGER NOT NULL DEFAULT 0,
    removed_jobs INTEGER NOT NULL DEFAULT 0,
    last_error TEXT NOT NULL DEFAULT '',
    quiet_at INTEGER NOT NULL,
    requested_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    finished_at INTEGER
);

-- Archives of everything about an account, made on request; the bytes lie below _ergon/exports/ for some days.
CREATE TABLE exports (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    status TEXT NOT NULL,
    object_key TEXT NOT NULL,
    size_bytes INTEGER NOT NULL DEFAULT 0,
    sha256 TEXT NOT NULL DEFAULT '',
    last_error TEXT NOT NULL DEFAULT '',
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX exports_user ON exports (user_id, created_at);
CREATE INDEX exports_status ON exports (status, expires_at);

-- +goose Down
DROP TABLE exports;
DROP TABLE erasures;
DROP INDEX objects_class;
DROP TABLE job_quotas;
DROP TABLE quota_rules;
