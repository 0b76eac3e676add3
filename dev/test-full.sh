#!/usr/bin/env bash
# test-full.sh [SUITE…]: the suites (all of them when none is named) with the large figures: ERGON_TEST_FULL=1, tests raise their
# counts. By hand, hours long. Writes docs/test-report.md with date, commit and machine.
set -euo pipefail
cd "$(dirname "$0")/.."
export ERGON_TEST_FULL=1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
dev/test.sh "$@" 2>&1 | tee "$log" || status=$?

# larger SUITE TEXT: a line of the report, when the table says that tests of the suite passed.
larger() { ! grep -qE "^$1 +[1-9]" "$log" || echo "- $2"; }

mkdir -p docs
# What was fuzzed, and for how long, is written by hand after dev/fuzz.sh.
fuzzed=$(sed -n '/^## Fuzzing/,$p' docs/test-report.md 2>/dev/null) || true
{
  echo "# Test report"
  echo
  echo "\`make test-full\` on $(date -u '+%F %H:%M') UTC, commit $(git rev-parse --short HEAD)$(git diff --quiet HEAD -- ':!docs' || echo ' with local changes')."
  echo "Machine: $(nproc) × $(awk -F': ' '/^model name/ {print $2; exit}' /proc/cpuinfo), $(awk '/^MemTotal/ {printf "%.0f GiB", $2/1048576}' /proc/meminfo), $(. /etc/os-release && echo "$PRETTY_NAME"), $(go env GOVERSION), $(slurmctld -V)."
  echo
  echo "Larger than in \`make test\`:"
  larger 'unit agent' '1 000 000 swaps of a directory under a walk (agent safefs, 20 000 otherwise)'
  larger 'unit controlplane' 'a multipart of 1 GiB with client and store killed (controlplane storage/integration, 100 MiB otherwise)'
  larger e2e '1000 random kills of the agent (e2e/crash, 30 otherwise)'
  larger e2e 'a file of 5 GiB by multipart with the client killed in the middle (e2e/files, 300 MB otherwise)'
  larger e2e '10 000 small files (e2e/files, 1000 otherwise)'
  echo
  echo "Suites: ${*:-all}."
  echo
  echo '```'
  sed -n '/^suite  .*passed/,$p' "$log"
  echo '```'
  [ -z "$fuzzed" ] || printf '\n%s\n' "$fuzzed"
} >docs/test-report.md
exit "$status"
