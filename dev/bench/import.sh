#!/usr/bin/env bash
# import.sh: history of sacct into SQLite and PostgreSQL, as an administrator imports it. BENCH_ROWS=100000 is quicker.
set -euo pipefail
rows=${BENCH_ROWS:-1000000}
echo '## Import of history'
echo
echo "A generated dump of sacct of $rows jobs without steps (25 columns), imported with \`ergon-server admin import sacct --no-analyse\`"
echo 'into a new database. Target: 10 000 rows/s. The CPU time is that of the importer alone, the load average that of the machine at the'
echo 'end: with more than 2 something else was running.'
echo
awk -v n="$rows" 'BEGIN {
  srand(1)
  print "JobID|JobIDRaw|JobName|Partition|QOS|Account|Group|GID|User|UID|Submit|Eligible|Start|End|ElapsedRaw|ExitCode|State|NNodes|NCPUS|ReqCPUS|ReqMem|ReqTRES|AllocTRES|Timelimit|NodeList"
  for (i = 1; i <= n; i++) {
    submit = 1704067200 + 7 * i; start = submit + int(5000 * rand()); run = int(20000 * rand()); u = int(300 * rand()); c = 2 ^ int(7 * rand()); k = 1 + int(c / 32)
    tres = "cpu=" c ",mem=" 4000 * c "M,node=" k
    print i "|" i "|job_" int(50 * rand()) "|p" i % 4 "|normal|acc" u % 20 "|users|100|user" u "|" 1000 + u "|" submit "|" submit "|" start "|" start + run "|" run "|0:0|COMPLETED|" k "|" c "|" c "|4000Mc|" tres "|" tres "|1-00:00:00|n[" int(900 * rand()) "]"
  }
}' >"$BENCH_TMP/history.txt"

# import NAME: one line of the table; the environment names the database.
import() {
  local out
  out=$({ TIMEFORMAT='%U %S'; time bin/ergon-server admin import sacct --data-dir "$BENCH_TMP/$1" --cluster old --timezone UTC --no-analyse -o json \
    "$BENCH_TMP/history.txt" >"$BENCH_TMP/$1.json" 2>"$BENCH_TMP/$1.err"; } 2>&1)
  printf '| %s | %s | %s | %s | %s |\n' "$1" "$(field seconds "$1")" "$(field rows_per_second "$1")" \
    "$(awk '{printf "%.1f", $1 + $2}' <<<"$out")" "$(cut -d' ' -f1 /proc/loadavg)"
}

field() { awk -F'[:,]' -v name="\"$1\"" '$1 ~ name {printf "%.0f", $2}' "$BENCH_TMP/$2.json"; }

echo '| database | seconds | rows/s | CPU seconds | load average |'
echo '|---|---:|---:|---:|---:|'
import SQLite
pg=$(mktemp -d) # $BENCH_TMP is closed to the user postgres
chmod 755 "$pg"
trap 'dev/postgres/down "$pg/pg" >&2; rm -rf "$pg"' EXIT
eval "$(dev/postgres/up "$pg/pg" "${BENCH_PG_PORT:-24390}")"
(umask 077 && head -c 48 /dev/urandom | base64 >"$BENCH_TMP/secret")
export ERGON_AUTH_SECRET_FILE=$BENCH_TMP/secret ERGON_DATABASE_URL=$ERGON_TEST_POSTGRES_URL
import PostgreSQL
