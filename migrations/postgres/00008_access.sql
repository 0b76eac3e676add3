-- +goose Up
-- A row of version 2 holds no name and no address in clear: remote_addr is sealed under the key of the actor, sealed (JSON of what names
-- people) under the key of person. Destroying a key makes them unreadable and changes no row. Version 1 rows stay as they are.
ALTER TABLE audit ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE audit ADD COLUMN person TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN sealed TEXT NOT NULL DEFAULT '';

-- The last row of each chain, under a MAC of the server's secret: rows that are cut off at the end, or a chain that was computed anew,
-- do not fit it. Writers also note the heads of other chains in their own.
CREATE TABLE audit_heads (
    chain TEXT PRIMARY KEY,
    seq BIGINT NOT NULL,
    hash TEXT NOT NULL,
    mac TEXT NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX audit_heads_updated ON audit_heads (updated_at);

-- Keys of persons, sealed under the server's secret; an empty one was destroyed, and none is made again.
CREATE TABLE audit_keys (
    person TEXT PRIMARY KEY,
    sealed_key TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

-- Rows of the audit log are only ever inserted.
-- dialect
-- +goose StatementBegin
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of the audit log are only ever inserted' USING ERRCODE = 'insufficient_privilege';
END
$$;
-- +goose StatementEnd
CREATE TRIGGER audit_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
-- end dialect

-- Calls that carried an Idempotency-Key: what was asked (a hash), whether it is done, with which status, and the id of what it made.
-- Never an answer. caller is the account, route the operation. lease: until when the call may still be under way.
CREATE TABLE idempotency (
    caller TEXT NOT NULL,
    route TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    status INTEGER NOT NULL DEFAULT 0,
    lease TIMESTAMPTZ NOT NULL,
    exp TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (caller, route, key_hash)
);
CREATE INDEX idempotency_exp ON idempotency (exp);

-- Exact limits that all replicas share: how often something was done in the window that began then. bucket is a keyed hash or an id.
CREATE TABLE rate_windows (
    bucket TEXT NOT NULL,
    began_at TIMESTAMPTZ NOT NULL,
    taken BIGINT NOT NULL,
    PRIMARY KEY (bucket, began_at)
);
CREATE INDEX rate_windows_began ON rate_windows (began_at);

-- Who coordinates a Slurm account, as sacctmgr told a system agent of the cluster.
CREATE TABLE coordinators (
    cluster_id TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
    account TEXT NOT NULL,
    unix_name TEXT NOT NULL,
    PRIMARY KEY (cluster_id, account, unix_name)
);
CREATE INDEX coordinators_name ON coordinators (cluster_id, unix_name);

-- Who looked at the sums of single persons of an account, one row a call; the persons see it.
CREATE TABLE looks (
    id TEXT PRIMARY KEY,
    viewer_id TEXT NOT NULL,
    cluster_id TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
    account TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL
);
CREATE INDEX looks_account ON looks (cluster_id, account, at);

-- clock_skew_ms: the agent's clock minus the server's, as its last assertion showed; NULL: not known.
ALTER TABLE agents ADD COLUMN clock_skew_ms BIGINT;
ALTER TABLE agents ADD COLUMN key_changed_at TIMESTAMPTZ;
UPDATE agents SET scopes = scopes || ' assoc:report' WHERE kind = 'system';

-- confirmed_at: when the ceremony was last done; NULL: when the link was made. suspended_for: identity, expired or operator.
ALTER TABLE links ADD COLUMN confirmed_at TIMESTAMPTZ;
ALTER TABLE links ADD COLUMN suspended_for TEXT NOT NULL DEFAULT '';
UPDATE links SET suspended_for = 'identity' WHERE suspended_at IS NOT NULL;

-- +goose Down
ALTER TABLE links DROP COLUMN suspended_for;
ALTER TABLE links DROP COLUMN confirmed_at;
UPDATE agents SET scopes = replace(scopes, ' assoc:report', '') WHERE kind = 'system';
ALTER TABLE agents DROP COLUMN key_changed_at;
ALTER TABLE agents DROP COLUMN clock_skew_ms;
DROP TABLE looks;
DROP TABLE coordinators;
DROP TABLE rate_windows;
DROP TABLE idempotency;
-- dialect
DROP TRIGGER audit_insert_only ON audit;
DROP FUNCTION audit_refuse();
-- end dialect
DROP TABLE audit_keys;
DROP TABLE audit_heads;
ALTER TABLE audit DROP COLUMN sealed;
ALTER TABLE audit DROP COLUMN person;
ALTER TABLE audit DROP COLUMN version;
