#!/usr/bin/env bash
# cover.sh: statement coverage of each module by its own tests, without generated code; profiles go to coverage/.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p coverage
export GOWORK=off
printf '%-14s %s\n' module coverage
for module in shared agent migrations controlplane; do
  [ -n "$(find "$module" -name '*_test.go' -print -quit)" ] || continue
  profile=$PWD/coverage/$module.out
  (cd "$module" && go test -vet=off -coverprofile="$profile" -coverpkg=./... ./... >"$profile.log" 2>&1) ||
    { grep -E -- '--- FAIL|^FAIL|panic:' "$profile.log" >&2 || tail -n 20 "$profile.log" >&2; exit 1; }
  grep -vE '\.gen\.go:|/zzstub/' "$profile" >"$profile.own"
  printf '%-14s %s\n' "$module" "$(cd "$module" && go tool cover -func="$profile.own" | awk 'END {print $NF}')"
done
