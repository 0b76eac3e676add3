#!/usr/bin/env bash
# seff.sh: ergon seff and Slurm's own seff about the same job, in turn, on a private cluster.
set -euo pipefail
runs=${SEFF_RUNS:-100}
prefix=/dev/shm/ergon-bench-$$
. dev/bench/lib/alice.sh
exec 3>&1 1>&2   # the table alone goes to standard output
cleanup() {
  dev/slurm/down "$prefix" --purge || true
  rm -rf "${BENCH_TMP:?}/home" "${BENCH_TMP:?}/seff"
}
trap cleanup EXIT
theirs=$(dev/bench/lib/slurm_seff.sh "$BENCH_TMP/seff")
ERGON_SLURM_NODES=1 dev/slurm/up "$prefix" 27600
mkdir -p "$BENCH_TMP/home"
chmod 755 "$BENCH_TMP"
cp bin/ergon "$BENCH_TMP/"
cp "$theirs" "$BENCH_TMP/slurm-seff"
printf '#!/bin/bash\nsrun sleep 1\nsrun sleep 1\n' >"$BENCH_TMP/home/job.sh"
chown -R alice: "$BENCH_TMP/home"
job=$(cd "$BENCH_TMP/home" && as_alice sbatch --parsable --wait --mem=100M --output=/dev/null job.sh)
for _ in $(seq 100); do
  [ "$(as_alice sacct -nX -j "$job" -o state | tr -d ' ')" != COMPLETED ] || break
  sleep 0.2
done
# The columns as ergon asks for them, seen by a sacct that only notes its arguments.
mkdir "$BENCH_TMP/home/bin"
printf '#!/bin/sh\necho "$@" >>%s\nexec %s "$@"\n' "$BENCH_TMP/home/asked" "$(command -v sacct)" >"$BENCH_TMP/home/bin/sacct"
chmod -R a+rx "$BENCH_TMP/home"
(cd "$BENCH_TMP/home" && PATH=$BENCH_TMP/home/bin:$PATH as_alice "$BENCH_TMP/ergon" seff "$job") >/dev/null
columns=$(grep -o 'format=[A-Za-z,]*' "$BENCH_TMP/home/asked" | head -n 1 | cut -d= -f2)
[ -n "$columns" ] || { echo 'seff.sh: ergon seff asked sacct for no columns'; exit 1; }
cat >"$BENCH_TMP/home/loop.sh" <<LOOP
cd
time_one() { local out=\$1; shift; local t0=\$EPOCHREALTIME; "\$@" $job >"\$out.text" 2>"\$out.errors" || exit 1; local t1=\$EPOCHREALTIME; echo \$(( \${t1/./} - \${t0/./} )) >>"\$out"; }
time_one warm perl $BENCH_TMP/slurm-seff; time_one warm $BENCH_TMP/ergon seff
for i in \$(seq $runs); do
  time_one slurm perl $BENCH_TMP/slurm-seff
  time_one ergon $BENCH_TMP/ergon seff
  time_one few sacct -P -D -o JobID,State -j
  time_one all sacct -P -D -o $columns -j
done
LOOP
as_alice bash "$BENCH_TMP/home/loop.sh" || { cat "$BENCH_TMP"/home/*.errors; exit 1; }
grep -q 'CPU Efficiency' "$BENCH_TMP/home/slurm.text" || { echo "seff.sh: Slurm's seff printed no report"; exit 1; }
grep -q 'COMPLETED' "$BENCH_TMP/home/ergon.text" || { echo "seff.sh: ergon seff printed no report"; exit 1; }
{
  echo '## ergon seff'
  echo
  echo "One finished job of two steps, asked for $runs times by Slurm's own seff (from Debian's source package of the"
  echo 'installed Slurm), by ergon seff, and by sacct alone with two columns and with those that ergon seff reads, in turn;'
  echo 'milliseconds from start to exit. sacct asks slurmdbd once for the job, once more for the names of TRES and once more for'
  echo 'those of QOS when such columns are wanted; seff reads ids and asks once.'
  echo
  echo '| command | p50 ms | p99 ms |'
  echo '|---|---:|---:|'
  row "Slurm's seff" slurm
  row 'ergon seff' ergon
  row 'sacct, two columns' few
  row 'sacct, the columns of ergon seff' all
  echo
  awk -v s="$(quantile "$BENCH_TMP/home/slurm" 0.5)" -v e="$(quantile "$BENCH_TMP/home/ergon" 0.5)" \
    'BEGIN {printf "`ergon seff` takes %.2f times as long as Slurm'"'"'s at the median.\n", e / s}'
} >&3
