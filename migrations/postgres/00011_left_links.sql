-- +goose Up
-- Links of accounts that the first use on a login node made, when they were removed: by the same uid and name the account is found again.
CREATE TABLE left_links (
    id TEXT PRIMARY KEY,
    cluster_id TEXT NOT NULL REFERENCES clusters (id),
    uid BIGINT NOT NULL,
    gid BIGINT NOT NULL,
    unix_name TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    agent_id TEXT REFERENCES agents (id),
    suspended_at TIMESTAMPTZ,
    suspended_for TEXT NOT NULL DEFAULT '',
    confirmed_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX left_links_uid ON left_links (cluster_id, uid);
CREATE INDEX left_links_user ON left_links (user_id);

-- +goose Down
DROP TABLE left_links;
