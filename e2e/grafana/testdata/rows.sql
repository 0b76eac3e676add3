-- Two clusters, so that a query that forgets to filter shows. Hours are round, so that sums can be checked by head.
INSERT INTO clusters (id, name, created_at) VALUES ('c1', 'lab', '2026-01-01Z'), ('c2', 'other', '2026-01-01Z');
INSERT INTO agents (id, cluster_id, kind, name, public_key, scopes, version, last_seen_at, revoked_at, created_at) VALUES
    ('a1', 'c1', 'system', 'login1', 'k1', 'accounting:cluster', '1.0', '2026-01-10 11:00Z', NULL, '2026-01-01Z'),
    ('a2', 'c1', 'system', 'retired', 'k2', 'accounting:cluster', '0.9', '2026-01-01 11:00Z', '2026-01-02Z', '2026-01-01Z');

INSERT INTO jobs (id, cluster_id, slurm_job_id, job_id_raw, unix_user, account, partition_name, name, state, slurm_state, reason, submit_at, start_at, end_at,
    elapsed_s, limit_s, nodes, cpus, memory_bytes, accounting_at, created_at, updated_at) VALUES
    ('j1', 'c1', '1', '1', 'alice', 'physics', 'short', 'a''quote', 'DONE', 'COMPLETED', '', '2026-01-10 08:00Z', '2026-01-10 08:10Z', '2026-01-10 10:10Z', 7200, 14400, 1, 10, 1073741824, '2026-01-10 10:11Z', '2026-01-10Z', '2026-01-10Z'),
    ('j2', 'c1', '2', '2', 'bob', 'o''neil', 'long', 'b', 'FAILED', 'OUT_OF_MEMORY', '', '2026-01-10 08:00Z', '2026-01-10 09:00Z', '2026-01-10 10:00Z', 3600, 3600, 1, 4, 1073741824, '2026-01-10 10:11Z', '2026-01-10Z', '2026-01-10Z'),
    -- measured by nobody: the ledger says used 0, which must not count as a number
    ('j3', 'c1', '3', '3', 'alice', 'physics', 'short', 'c', 'DONE', 'COMPLETED', '', '2026-01-10 08:00Z', '2026-01-10 08:30Z', '2026-01-10 09:30Z', 3600, NULL, 1, 100, NULL, '2026-01-10 10:11Z', '2026-01-10Z', '2026-01-10Z'),
    -- no report at all
    ('j4', 'c1', '4', '4', 'alice', 'physics', 'short', 'd', 'DONE', 'COMPLETED', '', '2026-01-10 08:00Z', '2026-01-10 08:30Z', '2026-01-10 09:30Z', 3600, NULL, 1, 1, NULL, '2026-01-10 10:11Z', '2026-01-10Z', '2026-01-10Z'),
    ('j5', 'c1', '5', '5', 'alice', 'physics', 'short', 'e', 'PENDING', 'PENDING', 'Priority', '2026-01-10 08:00Z', NULL, NULL, NULL, 3600, 1, 1, NULL, NULL, '2026-01-10Z', '2026-01-10Z'),
    ('j6', 'c1', '6', '6', 'bob', 'o''neil', 'short', 'f', 'RUNNING', 'RUNNING', '', '2026-01-10 08:00Z', '2026-01-10 08:30Z', NULL, NULL, 3600, 1, 1, NULL, NULL, '2026-01-10Z', '2026-01-10Z'),
    -- outside the window, and on the other cluster
    ('j7', 'c1', '7', '7', 'alice', 'physics', 'short', 'g', 'DONE', 'COMPLETED', '', '2025-12-10 08:00Z', '2025-12-10 08:30Z', '2025-12-10 09:30Z', 3600, 3600, 1, 1000, NULL, '2025-12-10 10:11Z', '2025-12-10Z', '2025-12-10Z'),
    ('j8', 'c2', '1', '1', 'carol', 'physics', 'short', 'h', 'DONE', 'COMPLETED', '', '2026-01-10 08:00Z', '2026-01-10 08:30Z', '2026-01-10 09:30Z', 3600, 3600, 1, 1000, NULL, '2026-01-10 10:11Z', '2026-01-10Z', '2026-01-10Z');

INSERT INTO reports (job_id, report, inputs_digest, cpu_allocated_core_s, cpu_used_core_s, memory_allocated_byte_s, memory_used_byte_s, limit_s, elapsed_s,
    gpu_allocated_s, gpu_used_s, energy_j, wasted_core_s, wasted_memory_byte_s, wasted_gpu_s, computed_at) VALUES
    ('j1', '{}', '', 72000, 54000, 7730941132800, 3865470566400, 14400, 7200, 7200, 3600, 5000, 18000, 3865470566400, 3600, '2026-01-10Z'),
    ('j2', '{}', '', 14400, 0, 3865470566400, 0, 3600, 3600, NULL, NULL, NULL, 14400, 3865470566400, NULL, '2026-01-10Z'),
    ('j3', '{}', '', 360000, 0, NULL, NULL, NULL, 3600, NULL, NULL, NULL, NULL, NULL, NULL, '2026-01-10Z'),
    ('j7', '{}', '', 3600000, 3600000, NULL, NULL, 3600, 3600, NULL, NULL, NULL, 0, NULL, NULL, '2026-01-10Z'),
    ('j8', '{}', '', 3600000, 3600000, NULL, NULL, 3600, 3600, NULL, NULL, NULL, 0, NULL, NULL, '2026-01-10Z');

INSERT INTO attempts (job_id, attempt, slurm_state, submit_at, start_at, end_at, elapsed_s, wall_s, wait_s, nodes, cpus)
    SELECT id, 0, slurm_state, submit_at, start_at, end_at, elapsed_s, elapsed_s, extract(epoch FROM start_at - submit_at)::bigint, nodes, cpus
    FROM jobs WHERE start_at IS NOT NULL;
