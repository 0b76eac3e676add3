-- +goose Up
-- Which agent reports a job, so that two agents of one cluster tell and upload it once. told: the job's wrapper spoke to that
-- agent, which therefore knows what was declared. An agent that has been silent for longer than its token lives is superseded.
CREATE TABLE job_reporters (
    job_id TEXT PRIMARY KEY,
    agent_id TEXT NOT NULL,
    told BOOLEAN NOT NULL DEFAULT FALSE,
    since TIMESTAMPTZ NOT NULL
);
CREATE INDEX job_reporters_agent ON job_reporters (agent_id);

-- +goose Down
DROP TABLE job_reporters;
