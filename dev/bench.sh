#!/usr/bin/env bash
# bench.sh [NAME…]: runs the benchmarks registered in dev/bench/ (all when none is named) and writes their tables into
# docs/benchmarks.md, between the markers <!-- bench NAME --> and <!-- end NAME -->; other text stays as it is.
#
# dev/bench/NAME.sh is one benchmark: it prints Markdown (a sentence on how it was measured, then a table) to stdout and
# what it is doing to stderr. It runs in the top directory with bin/ built, with $BENCH_TMP for its files. Helpers are
# in dev/bench/lib/. A benchmark that fails keeps its old table and fails the run.
set -euo pipefail
cd "$(dirname "$0")/.."
page=docs/benchmarks.md
BENCH_TMP=$(mktemp -d)
export BENCH_TMP
trap 'rm -rf "$BENCH_TMP"' EXIT

machine() {
  echo "$(nproc) × $(awk -F': ' '/^model name/ {print $2; exit}' /proc/cpuinfo), $(awk '/^MemTotal/ {printf "%.0f GiB", $2/1048576}' /proc/meminfo)," \
    "$(. /etc/os-release && echo "$PRETTY_NAME"), Linux $(uname -r | cut -d- -f1), $(go env GOVERSION)"
}

commit() { echo "$(git rev-parse --short HEAD)$(git diff --quiet HEAD -- ':!docs' || echo ' with local changes')"; }

# put NAME FILE: replaces the section of NAME, or adds it at the end.
put() {
  grep -qF "<!-- bench $1 -->" "$page" || printf '\n<!-- bench %s -->\n<!-- end %s -->\n' "$1" "$1" >>"$page"
  awk -v begin="<!-- bench $1 -->" -v end="<!-- end $1 -->" -v file="$2" '
    $0 == begin {print; while ((getline line < file) > 0) print line; skip = 1; next}
    $0 == end {skip = 0}
    !skip {print}' "$page" >"$BENCH_TMP/page"
  cat "$BENCH_TMP/page" >"$page"
}

mkdir -p docs
[ -e "$page" ] || printf '# Benchmarks\n\nMeasured by make bench; nothing here is asserted by a test. Each table says when, from what and on what.\n' >"$page"

names=("$@")
[ $# -gt 0 ] || mapfile -t names < <(find dev/bench -maxdepth 1 -name '*.sh' -printf '%f\n' | sed 's/\.sh$//' | sort)
[ ${#names[@]} -gt 0 ] || { echo "bench.sh: dev/bench holds no benchmark" >&2; exit 1; }
failed=0
for name in "${names[@]}"; do
  echo "bench: $name" >&2
  if "dev/bench/$name.sh" >"$BENCH_TMP/$name.md"; then
    { cat "$BENCH_TMP/$name.md"; printf '\n%s, commit %s, on %s.\n' "$(date -u +%F)" "$(commit)" "$(machine)"; } >"$BENCH_TMP/section"
    put "$name" "$BENCH_TMP/section"
  else
    echo "bench: $name failed" >&2; failed=1
  fi
done
exit "$failed"
