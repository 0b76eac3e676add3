#!/usr/bin/env bash
# agent_memory.sh: resident memory and CPU of the agent, idle and with many tracked jobs.
set -euo pipefail
echo '## Memory of the agent'
echo
echo 'The daemon with its journal in a process of its own, against a fake Slurm that is polled every second and shows running jobs; the most memory that'
echo 'is resident at any time, and the CPU, over ten seconds after all of them are tracked. A site polls every 30 s: the CPU is then a thirtieth. Targets: 40 MB idle, 120 MB with 100 000 jobs.'
echo
# Memory and CPU are measured, not the disk: the first cycle commits 100 000 jobs one by one.
TMPDIR=/dev/shm dev/bench/lib/gobench.sh agent ./cmd/ergon-agent 'AgentMemory' -benchtime 1x -timeout 30m
