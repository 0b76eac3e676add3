-- +goose Up
-- Unix users who objected to being named (`ergon-server admin optout`). Of their jobs only what the cluster's sums are made of is
-- stored, without uid, login name, names and submit lines, unless the uid is linked to an account: then its owner decides.
CREATE TABLE objections (
    cluster_id TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
    uid INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (cluster_id, uid)
);

-- +goose Down
DROP TABLE objections;
