#!/usr/bin/env bash
# fuzz.sh [SECONDS [PATTERN]]: searches for new inputs with every fuzz target (or those whose "PACKAGE TARGET" matches the
# pattern), SECONDS (30) each. What it finds is written to the package's testdata/fuzz: fix the parser and commit the input.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-30} pattern=${2:-.}
export GOWORK=off
failed=0

# Go spends up to 60 s on making each new input smaller. For files of some kilobytes that would be all of the time.
minimize=2s

while IFS=: read -r file _ line; do
  target=$(sed -E 's/^func (Fuzz[A-Za-z0-9_]*).*/\1/' <<<"$line")
  module=${file%%/*} package=./$(dirname "${file#*/}")
  [[ "$package $target" =~ $pattern ]] || continue
  echo "fuzz: $module $package $target"
  (cd "$module" && go test -run '^$' -fuzz "^$target\$" -fuzztime "${seconds}s" -fuzzminimizetime "$minimize" "$package") || failed=1
done < <(grep -rnE --include='*_test.go' '^func Fuzz' shared agent controlplane migrations e2e)
exit "$failed"
