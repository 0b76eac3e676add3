-- +goose Up
-- A run that was requeued may have been moved to another partition, QOS or account: it counts where it ran. What is stored is
-- filled from the job, and where there are several runs from each one's own row of accounting.
ALTER TABLE attempts ADD COLUMN account TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN partition_name TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN qos TEXT NOT NULL DEFAULT '';
UPDATE attempts SET
    account = (SELECT j.account FROM jobs j WHERE j.id = attempts.job_id),
    partition_name = (SELECT j.partition_name FROM jobs j WHERE j.id = attempts.job_id),
    qos = (SELECT j.qos FROM jobs j WHERE j.id = attempts.job_id);
-- dialect
UPDATE attempts SET
    account = COALESCE(NULLIF((SELECT json_extract(r.fields, '$.Account') FROM accounting_rows r
        WHERE r.job_id = attempts.job_id AND r.attempt = attempts.attempt AND r.step = ''), ''), account),
    partition_name = COALESCE(NULLIF((SELECT json_extract(r.fields, '$.Partition') FROM accounting_rows r
        WHERE r.job_id = attempts.job_id AND r.attempt = attempts.attempt AND r.step = ''), ''), partition_name),
    qos = COALESCE(NULLIF((SELECT json_extract(r.fields, '$.QOS') FROM accounting_rows r
        WHERE r.job_id = attempts.job_id AND r.attempt = attempts.attempt AND r.step = ''), ''), qos)
WHERE EXISTS (SELECT 1 FROM jobs j WHERE j.id = attempts.job_id AND j.attempt > 0);
DROP VIEW staff_attempts;
CREATE VIEW staff_attempts AS
SELECT
    a.job_id,
    c.name AS cluster,
    j.slurm_job_id,
    j.unix_user,
    a.account,
    a.partition_name,
    a.attempt,
    a.slurm_state,
    a.submit_at,
    a.start_at,
    a.end_at,
    a.elapsed_s,
    a.wall_s,
    a.wait_s,
    a.nodes,
    a.cpus,
    a.gpus,
    a.cpus * a.elapsed_s / 3600.0 AS core_h,
    a.exit_code,
    a.exit_signal
FROM attempts a
JOIN jobs j ON j.id = a.job_id
JOIN clusters c ON c.id = j.cluster_id;
-- end dialect

-- +goose Down
-- dialect
DROP VIEW staff_attempts;
CREATE VIEW staff_attempts AS
SELECT
    a.job_id,
    c.name AS cluster,
    j.slurm_job_id,
    j.unix_user,
    j.account,
    j.partition_name,
    a.attempt,
    a.slurm_state,
    a.submit_at,
    a.start_at,
    a.end_at,
    a.elapsed_s,
    a.wall_s,
    a.wait_s,
    a.nodes,
    a.cpus,
    a.gpus,
    a.cpus * a.elapsed_s / 3600.0 AS core_h,
    a.exit_code,
    a.exit_signal
FROM attempts a
JOIN jobs j ON j.id = a.job_id
JOIN clusters c ON c.id = j.cluster_id;
-- end dialect
ALTER TABLE attempts DROP COLUMN qos;
ALTER TABLE attempts DROP COLUMN partition_name;
ALTER TABLE attempts DROP COLUMN account;
