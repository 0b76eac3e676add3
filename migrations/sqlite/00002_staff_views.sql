-- +goose Up
-- What dashboards of the staff may read: names, numbers and times of all jobs, and nothing secret. Grafana's role may SELECT from
-- the staff_ views and from no table. Whoever may send SQL through it sees every row, so it is for staff only (design 03, T21).
-- The same text serves both dialects; times keep the type of their table.

-- One row a job. Numbers of jobs without a report are NULL, so sums cover reported jobs only: has_report counts them.
-- Used is what attempts took that were not lost (shared/efficiency, Ledger): a failed attempt's whole allocation is wasted.
-- Where nothing was measured the ledger says used 0 and waste unknown: both are NULL here.
CREATE VIEW staff_jobs AS
SELECT
    j.id AS job_id,
    c.name AS cluster,
    j.slurm_job_id,
    j.array_job_id,
    j.unix_user,
    j.account,
    j.partition_name,
    j.qos,
    j.name AS job_name,
    j.state,
    j.slurm_state,
    j.reason,
    j.exit_code,
    j.exit_signal,
    j.submit_at,
    j.eligible_at,
    j.start_at,
    j.end_at,
    j.elapsed_s,
    j.limit_s,
    j.attempt,
    j.nodes,
    j.cpus,
    j.gpus,
    j.memory_bytes,
    j.upload_phase,
    j.accounting_at,
    CASE WHEN r.job_id IS NULL THEN 0 ELSE 1 END AS has_report,
    r.cpu_allocated_core_s / 3600.0 AS cpu_allocated_core_h,
    CASE WHEN r.wasted_core_s IS NOT NULL THEN r.cpu_used_core_s / 3600.0 END AS cpu_used_core_h,
    r.wasted_core_s / 3600.0 AS wasted_core_h,
    CASE WHEN r.wasted_core_s IS NOT NULL THEN r.cpu_used_core_s / NULLIF(r.cpu_allocated_core_s, 0) END AS cpu_share_used,
    r.memory_allocated_byte_s / 3600.0 AS memory_allocated_byte_h,
    CASE WHEN r.wasted_memory_byte_s IS NOT NULL THEN r.memory_used_byte_s / 3600.0 END AS memory_used_byte_h,
    r.wasted_memory_byte_s / 3600.0 AS wasted_memory_byte_h,
    CASE WHEN r.wasted_memory_byte_s IS NOT NULL THEN r.memory_used_byte_s / NULLIF(r.memory_allocated_byte_s, 0) END AS memory_share_used,
    r.gpu_allocated_s / 3600.0 AS gpu_allocated_h,
    CASE WHEN r.wasted_gpu_s IS NOT NULL THEN r.gpu_used_s / 3600.0 END AS gpu_used_h,
    r.wasted_gpu_s / 3600.0 AS wasted_gpu_h,
    r.elapsed_s / NULLIF(r.limit_s, 0) AS time_limit_used,
    r.energy_j
FROM jobs j
JOIN clusters c ON c.id = j.cluster_id
LEFT JOIN reports r ON r.job_id = j.id;

-- One row for each incarnation of a job: waiting times, and what failed attempts took.
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

-- Which agents there are and when each was last heard of. Keys and scopes are left out.
CREATE VIEW staff_agents AS
SELECT
    a.name AS agent,
    c.name AS cluster,
    a.kind,
    a.version,
    a.last_seen_at,
    a.revoked_at
FROM agents a
JOIN clusters c ON c.id = a.cluster_id;

-- +goose Down
DROP VIEW staff_agents;
DROP VIEW staff_attempts;
DROP VIEW staff_jobs;
