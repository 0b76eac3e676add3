#!/usr/bin/env bash
# wrapper.sh: the wrapper's cost: sbatch, ergon-sbatch under the name of sbatch, and ergon sbatch in turn, on a private
# cluster with the agent of alice running.
set -euo pipefail
runs=${WRAPPER_RUNS:-150}
prefix=/dev/shm/ergon-bench-$$
. dev/bench/lib/alice.sh
exec 3>&1 1>&2   # the table alone goes to standard output
cleanup() {
  [ -z "${agent:-}" ] || kill "$agent" 2>/dev/null || true
  dev/slurm/down "$prefix" --purge || true
  rm -rf "${BENCH_TMP:?}/home"
}
trap cleanup EXIT
ERGON_SLURM_NODES=1 ERGON_SLURM_MINJOBAGE=5 dev/slurm/up "$prefix" 27600 >&2
mkdir -p "$BENCH_TMP/home"
chmod 755 "$BENCH_TMP"
printf '#!/bin/sh\ntrue\n' >"$BENCH_TMP/home/job.sh"
cp bin/ergon bin/ergon-sbatch bin/ergon-agent "$BENCH_TMP/"
mkdir "$BENCH_TMP/wrapper"
ln -s "$BENCH_TMP/ergon-sbatch" "$BENCH_TMP/wrapper/sbatch"
chown -R alice: "$BENCH_TMP/home"
(exec setpriv --reuid alice --regid alice --init-groups --reset-env env HOME="$BENCH_TMP/home" PATH="$PATH" \
  SLURM_CONF="$prefix/etc/slurm.conf" "$BENCH_TMP/ergon-agent" run) >"$BENCH_TMP/agent.log" 2>&1 &
agent=$!
for _ in $(seq 50); do [ ! -S "$BENCH_TMP/home/.local/state/ergon/agent.sock" ] || break; sleep 0.1; done
[ -S "$BENCH_TMP/home/.local/state/ergon/agent.sock" ] || { cat "$BENCH_TMP/agent.log"; exit 1; }
# In turn, held jobs only: the cluster's own work is the same for all. What a wrapper adds is the difference to the plain
# sbatch of the same round, so that the noise of the machine and of slurmctld meets both.
cat >"$BENCH_TMP/home/loop.sh" <<LOOP
cd
time_one() {
  local file=\$1 t0=\$EPOCHREALTIME t1; shift
  "\$@" --hold --parsable job.sh >/dev/null
  t1=\$EPOCHREALTIME; took=\$((\${t1/./} - \${t0/./}))
  echo \$took >>\$file
}
for i in \$(seq $runs); do
  time_one plain sbatch; plain=\$took
  time_one linked $BENCH_TMP/wrapper/sbatch; echo \$((took - plain)) >>linked.added
  time_one wrapped $BENCH_TMP/ergon sbatch; echo \$((took - plain)) >>wrapped.added
done
LOOP
as_alice bash "$BENCH_TMP/home/loop.sh"
rss=$(awk '/VmRSS/ {printf "%.1f", $2/1024}' "/proc/$agent/status")
{
  echo '## The wrapper'
  echo
  echo "$runs submissions each by sbatch, by a link of its name to \`ergon-sbatch\`, and by \`ergon sbatch\`, in turn, on a private cluster"
  echo "with the user's agent running; milliseconds from start to exit of the command. What is added is taken over the differences to the"
  echo 'plain sbatch of the same round. Targets: 5 ms added at the median, 50 ms at the 99th percentile.'
  echo
  echo '| command | p50 ms | p99 ms |'
  echo '|---|---:|---:|'
  row sbatch plain
  row 'sbatch, a link to ergon-sbatch' linked
  row 'ergon sbatch' wrapped
  row 'added by the link' linked.added
  row 'added by ergon sbatch' wrapped.added
  echo
  echo "The agent's resident memory with these $((3 * runs)) jobs tracked: $rss MiB."
} >&3
