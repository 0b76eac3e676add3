-- +goose Up
-- How a session began: password, device, page (the confirmation page of the device flow), oidc or unix. cluster_id bounds a session that
-- an agent vouched for to the agent's cluster.
ALTER TABLE sessions ADD COLUMN method TEXT NOT NULL DEFAULT 'password';
ALTER TABLE sessions ADD COLUMN cluster_id TEXT;

-- Who made the account: '' a person or an admin, unix the first use on a login node, oidc the first sign-in at a provider.
ALTER TABLE users ADD COLUMN origin TEXT NOT NULL DEFAULT '';

-- identity=unix: the uid on a login node is the login.
ALTER TABLE clusters ADD COLUMN unix_login BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE agents SET scopes = scopes || ' identity:assert' WHERE kind = 'system';

-- RFC 8628. Neither code is stored: device_hash is a SHA-256, user_code_mac a keyed hash, for the code itself is short.
-- state: pending, approved, denied, used. interval_s grows when the client polls too fast.
CREATE TABLE device_grants (
    device_hash TEXT PRIMARY KEY,
    user_code_mac TEXT NOT NULL UNIQUE,
    host TEXT NOT NULL,
    cluster TEXT NOT NULL,
    remote_addr TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    state TEXT NOT NULL,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    auth_at TIMESTAMPTZ,
    interval_s BIGINT NOT NULL,
    polled_at TIMESTAMPTZ,
    exp TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

-- Personal access tokens: only the hash; scopes are words with spaces between.
CREATE TABLE personal_tokens (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    exp TIMESTAMPTZ NOT NULL,
    last_used_at TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX personal_tokens_user ON personal_tokens (user_id, created_at);

-- Who somebody is at an OpenID provider (iss and sub of its tokens).
CREATE TABLE oidc_subjects (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX oidc_subjects_user ON oidc_subjects (user_id);

-- +goose Down
DROP TABLE oidc_subjects;
DROP TABLE personal_tokens;
DROP TABLE device_grants;
UPDATE agents SET scopes = replace(scopes, ' identity:assert', '') WHERE kind = 'system';
ALTER TABLE clusters DROP COLUMN unix_login;
ALTER TABLE users DROP COLUMN origin;
ALTER TABLE sessions DROP COLUMN cluster_id;
ALTER TABLE sessions DROP COLUMN method;
