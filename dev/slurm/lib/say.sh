# shellcheck shell=bash
# Messages: plain progress to stdout, faults with the end of the log to stderr.

say() { echo "slurm: $*"; }

die() {
  echo "dev/slurm: $*" >&2
  exit 1
}

# die_log FILE MESSAGE: the fault, then the last lines of the log that explains it.
die_log() {
  local log=$1; shift
  {
    echo "dev/slurm: $*"
    echo "---- last lines of $log"
    tail -n 20 "$log" 2>/dev/null || echo "(no such file)"
  } >&2
  exit 1
}

# wait_for SECONDS COMMAND...: polls; its result says whether the command succeeded in time.
wait_for() {
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || return 1
    sleep 0.05
  done
}
