-- +goose Up
-- Times are UTC: timestamptz in PostgreSQL, INTEGER microseconds since 1970 in SQLite. ids are UUIDs as text.
CREATE TABLE users (
    id TEXT PRIMARY KEY,
    username TEXT NOT NULL UNIQUE,
    pw_hash TEXT,
    role TEXT NOT NULL DEFAULT 'user',
    disabled_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    user_agent TEXT NOT NULL DEFAULT '',
    auth_at TIMESTAMPTZ NOT NULL,
    last_used_at TIMESTAMPTZ NOT NULL,
    revoked_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id, created_at);

-- jti is the SHA-256 of the token, hex: the token itself is never stored.
CREATE TABLE refresh_tokens (
    jti TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    counter BIGINT NOT NULL,
    exp TIMESTAMPTZ NOT NULL,
    used_at TIMESTAMPTZ,
    revoked BOOLEAN NOT NULL DEFAULT FALSE,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE UNIQUE INDEX refresh_tokens_family ON refresh_tokens (session_id, counter);

CREATE TABLE signing_keys (
    kid TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    public_key TEXT NOT NULL,
    private_key_sealed TEXT NOT NULL,
    active_at TIMESTAMPTZ,
    retired_at TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL
);

-- At most one key signs and at most one waits.
CREATE UNIQUE INDEX signing_keys_state ON signing_keys (state) WHERE state IN ('next', 'active');

-- Failed logins by account name (a keyed hash of it: names that do not exist are counted too).
CREATE TABLE login_throttle (
    account TEXT PRIMARY KEY,
    failures BIGINT NOT NULL,
    blocked_until TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE invitations (
    token_hash TEXT PRIMARY KEY,
    created_by TEXT NOT NULL,
    exp TIMESTAMPTZ NOT NULL,
    used_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE clusters (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    slurm_version TEXT NOT NULL DEFAULT '',
    facts TEXT NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE enrolments (
    token_hash TEXT PRIMARY KEY,
    cluster_id TEXT NOT NULL REFERENCES clusters (id),
    kind TEXT NOT NULL,
    created_by TEXT,
    exp TIMESTAMPTZ NOT NULL,
    used_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE agents (
    id TEXT PRIMARY KEY,
    cluster_id TEXT NOT NULL REFERENCES clusters (id),
    kind TEXT NOT NULL,
    owner_user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    public_key TEXT NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    uid BIGINT,
    unix_name TEXT NOT NULL DEFAULT '',
    version TEXT NOT NULL DEFAULT '',
    last_seen_at TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX agents_cluster ON agents (cluster_id);

-- Assertions that were used, so that none is used twice (RFC 7523 §3, jti).
CREATE TABLE assertions (
    jti TEXT PRIMARY KEY,
    agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    exp TIMESTAMPTZ NOT NULL
);

CREATE TABLE link_challenges (
    challenge_hash TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    cluster_id TEXT NOT NULL REFERENCES clusters (id),
    exp TIMESTAMPTZ NOT NULL,
    used_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE links (
    id TEXT PRIMARY KEY,
    cluster_id TEXT NOT NULL REFERENCES clusters (id),
    uid BIGINT NOT NULL,
    gid BIGINT NOT NULL,
    unix_name TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    agent_id TEXT REFERENCES agents (id),
    suspended_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE UNIQUE INDEX links_uid ON links (cluster_id, uid);
CREATE UNIQUE INDEX links_user ON links (cluster_id, user_id);

-- One row a job; id is computed by jobkey. state is the API state, slurm_state the raw word.
-- self_asserted marks a job that only an agent of a user's own has reported: a system agent's word replaces it.
-- What usage reports add up stands here as columns: the values of the last attempt, and sums over all attempts where the name says so.
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    cluster_id TEXT NOT NULL REFERENCES clusters (id),
    user_id TEXT REFERENCES users (id) ON DELETE SET NULL,
    slurm_job_id TEXT NOT NULL,
    job_id_raw TEXT NOT NULL,
    array_job_id TEXT NOT NULL DEFAULT '',
    submission_id TEXT,
    self_asserted BOOLEAN NOT NULL DEFAULT FALSE,
    uid BIGINT,
    unix_user TEXT NOT NULL DEFAULT '',
    account TEXT NOT NULL DEFAULT '',
    partition_name TEXT NOT NULL DEFAULT '',
    qos TEXT NOT NULL DEFAULT '',
    name TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL,
    slurm_state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    exit_code INTEGER,
    exit_signal INTEGER,
    submit_at TIMESTAMPTZ NOT NULL,
    eligible_at TIMESTAMPTZ,
    start_at TIMESTAMPTZ,
    end_at TIMESTAMPTZ,
    elapsed_s BIGINT,
    suspended_s BIGINT,
    limit_s BIGINT,
    attempt INTEGER NOT NULL DEFAULT 0,
    nodes INTEGER,
    cpus INTEGER,
    gpus INTEGER,
    memory_bytes BIGINT,
    node_list TEXT NOT NULL DEFAULT '',
    event_seq BIGINT NOT NULL DEFAULT -1,
    upload_phase TEXT NOT NULL DEFAULT 'none',
    inputs_key TEXT NOT NULL DEFAULT '',
    outputs_prefix TEXT NOT NULL DEFAULT '',
    accounting_at TIMESTAMPTZ,
    analysed_at TIMESTAMPTZ,
    analysis_due BOOLEAN NOT NULL DEFAULT FALSE,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX jobs_user ON jobs (user_id, submit_at, id) WHERE user_id IS NOT NULL;
CREATE INDEX jobs_uid ON jobs (cluster_id, uid, submit_at);
CREATE INDEX jobs_slurm ON jobs (cluster_id, job_id_raw, submit_at);
CREATE INDEX jobs_array ON jobs (array_job_id) WHERE array_job_id <> '';
CREATE INDEX jobs_end ON jobs (cluster_id, end_at);
CREATE INDEX jobs_due ON jobs (updated_at) WHERE analysis_due;

-- One row for each incarnation of a job; the first is number 0. A requeue changes submit_at and adds a row.
-- start_at is NULL when it never got a node. wall_s is end - start, wait_s start - submit, both NULL when a part is not known.
CREATE TABLE attempts (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    slurm_state TEXT NOT NULL,
    submit_at TIMESTAMPTZ NOT NULL,
    eligible_at TIMESTAMPTZ,
    start_at TIMESTAMPTZ,
    end_at TIMESTAMPTZ,
    elapsed_s BIGINT,
    suspended_s BIGINT,
    wall_s BIGINT,
    wait_s BIGINT,
    nodes INTEGER,
    cpus INTEGER,
    gpus INTEGER,
    memory_bytes BIGINT,
    exit_code INTEGER,
    exit_signal INTEGER,
    PRIMARY KEY (job_id, attempt)
);

-- Accounting as it came, one row for each job or step row of sacct; step is '' for the job's own row, fields a JSON object of the columns.
-- weight orders versions of the same row by how much they know, so that a late, older row changes nothing.
CREATE TABLE accounting_rows (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    step TEXT NOT NULL,
    digest TEXT NOT NULL,
    weight BIGINT NOT NULL,
    fields TEXT NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (job_id, attempt, step)
);

-- What agents last said of each attempt (a JSON object), by the agent's own number of the attempt.
CREATE TABLE job_snapshots (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    snapshot TEXT NOT NULL,
    PRIMARY KEY (job_id, attempt)
);

CREATE TABLE job_events (
    event_id TEXT PRIMARY KEY,
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    agent_id TEXT,
    seq BIGINT NOT NULL,
    type TEXT NOT NULL,
    state TEXT NOT NULL,
    slurm_state TEXT NOT NULL,
    message TEXT NOT NULL DEFAULT '',
    manifest TEXT NOT NULL DEFAULT '[]',
    at TIMESTAMPTZ NOT NULL,
    received_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX job_events_job ON job_events (job_id, seq, event_id);

-- The stored report of a job (efficiency.Report as JSON), its series apart, and the numbers that sums are made of.
-- A number that could not be computed is NULL, never 0.
CREATE TABLE reports (
    job_id TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    report TEXT NOT NULL,
    series TEXT NOT NULL DEFAULT '{}',
    inputs_digest TEXT NOT NULL,
    cpu_allocated_core_s DOUBLE PRECISION,
    cpu_used_core_s DOUBLE PRECISION,
    memory_allocated_byte_s DOUBLE PRECISION,
    memory_used_byte_s DOUBLE PRECISION,
    limit_s DOUBLE PRECISION,
    elapsed_s DOUBLE PRECISION,
    gpu_allocated_s DOUBLE PRECISION,
    gpu_used_s DOUBLE PRECISION,
    energy_j DOUBLE PRECISION,
    wasted_core_s DOUBLE PRECISION,
    wasted_memory_byte_s DOUBLE PRECISION,
    wasted_gpu_s DOUBLE PRECISION,
    computed_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE quotas (
    user_id TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    limit_bytes BIGINT NOT NULL,
    limit_objects BIGINT NOT NULL,
    used_bytes BIGINT NOT NULL DEFAULT 0,
    used_objects BIGINT NOT NULL DEFAULT 0,
    reserved_bytes BIGINT NOT NULL DEFAULT 0,
    reserved_objects BIGINT NOT NULL DEFAULT 0
);

-- The presign ledger: a row is reserved before a URL leaves the server, and ends as stored, aborted or expired.
-- A key is given out once and never again. closed: no URL can be in use any more, and the store holds what objects says.
-- store_checksum is what the store must answer for the whole object, written before it is completed.
CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    agent_id TEXT,
    job_id TEXT REFERENCES jobs (id) ON DELETE CASCADE,
    attempt INTEGER,
    class TEXT NOT NULL,
    name TEXT NOT NULL,
    object_key TEXT COLLATE "C" NOT NULL UNIQUE,
    size_bytes BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    content_type TEXT NOT NULL,
    status TEXT NOT NULL,
    closed BOOLEAN NOT NULL DEFAULT FALSE,
    store_upload_id TEXT NOT NULL DEFAULT '',
    store_checksum TEXT NOT NULL DEFAULT '',
    part_size_bytes BIGINT NOT NULL DEFAULT 0,
    part_count INTEGER NOT NULL DEFAULT 0,
    url_expires_at TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX uploads_due ON uploads (closed, url_expires_at);
CREATE INDEX uploads_user ON uploads (user_id, name);
CREATE INDEX uploads_job ON uploads (job_id, attempt);

CREATE TABLE objects (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    job_id TEXT REFERENCES jobs (id) ON DELETE SET NULL,
    attempt INTEGER,
    class TEXT NOT NULL,
    name TEXT NOT NULL,
    object_key TEXT COLLATE "C" NOT NULL UNIQUE,
    size_bytes BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    sha256_verified BOOLEAN NOT NULL,
    store_checksum TEXT NOT NULL DEFAULT '',
    content_type TEXT NOT NULL,
    expires_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX objects_user ON objects (user_id, object_key);
CREATE INDEX objects_job ON objects (job_id);

-- Insert only. Each process writes a chain of its own: hash covers the row and the hash before it.
CREATE TABLE audit (
    id TEXT PRIMARY KEY,
    chain TEXT NOT NULL,
    seq BIGINT NOT NULL,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL DEFAULT '',
    outcome TEXT NOT NULL,
    request_id TEXT NOT NULL DEFAULT '',
    remote_addr TEXT NOT NULL DEFAULT '',
    detail TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_at ON audit (at);
CREATE UNIQUE INDEX audit_chain ON audit (chain, seq);

-- +goose Down
DROP TABLE audit;
DROP TABLE objects;
DROP TABLE uploads;
DROP TABLE quotas;
DROP TABLE reports;
DROP TABLE job_events;
DROP TABLE job_snapshots;
DROP TABLE accounting_rows;
DROP TABLE attempts;
DROP TABLE jobs;
DROP TABLE links;
DROP TABLE link_challenges;
DROP TABLE assertions;
DROP TABLE agents;
DROP TABLE enrolments;
DROP TABLE clusters;
DROP TABLE invitations;
DROP TABLE login_throttle;
DROP TABLE signing_keys;
DROP TABLE refresh_tokens;
DROP TABLE sessions;
DROP TABLE users;
