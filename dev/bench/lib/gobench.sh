#!/usr/bin/env bash
# gobench.sh MODULE PACKAGE PATTERN [GO TEST FLAGS…]: runs Go benchmarks and prints one Markdown row for each, with all
# of its metrics. For benchmarks: dev/bench/NAME.sh prints the sentence, then calls this.
set -euo pipefail
module=$1 package=$2 pattern=$3; shift 3
out=$(cd "$module" && GOWORK=off go test -vet=off -run '^$' -bench "$pattern" -benchmem "$@" "$package") || { echo "$out" >&2; exit 1; }
echo "| benchmark | runs | result |"
echo "|---|---:|---|"
rows=$(awk '/^Benchmark/ {
  name = $1; sub(/^Benchmark/, "", name); sub(/-[0-9]+$/, "", name)
  result = ""
  for (i = 3; i < NF; i += 2) result = result (i > 3 ? " · " : "") $i " " $(i + 1)
  printf "| %s | %s | %s |\n", name, $2, result
}' <<<"$out")
[ -n "$rows" ] || { echo "gobench.sh: no benchmark in $module/$package matches $pattern" >&2; exit 1; }
echo "$rows"
