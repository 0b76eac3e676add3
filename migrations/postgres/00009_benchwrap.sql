-- +goose Up
-- Uploads of the original client benchwrap, which says neither length nor checksum and never completes. state: issued (a URL was
-- given out), waiting (stored; it is a profile of a job that the server does not know yet), done, lost (nothing came, or too much).
-- slurm_job_id is the number in the file's name, '' where the name is not that of a profile.
CREATE TABLE benchwrap_uploads (
    upload_id TEXT PRIMARY KEY REFERENCES uploads (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    object_name TEXT NOT NULL,
    benchmark_name TEXT NOT NULL DEFAULT '',
    slurm_job_id TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL,
    checked_at TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX benchwrap_uploads_open ON benchwrap_uploads (state, checked_at);
CREATE INDEX benchwrap_uploads_user ON benchwrap_uploads (user_id, state);

-- +goose Down
DROP TABLE benchwrap_uploads;
