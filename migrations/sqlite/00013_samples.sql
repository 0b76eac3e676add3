-- +goose Up
-- What sstat said last of each step of a running job, where the site lets its agents ask: fields is a JSON object of the columns.
-- It stays after the end: of a step that was killed accounting may have kept less.
CREATE TABLE job_samples (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    step TEXT NOT NULL,
    digest TEXT NOT NULL,
    fields TEXT NOT NULL,
    sampled_at INTEGER NOT NULL,
    PRIMARY KEY (job_id, attempt, step)
);

-- +goose Down
DROP TABLE job_samples;
