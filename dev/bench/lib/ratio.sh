# shellcheck shell=bash
# ratio.sh: rows that set two benchmarks of gobench.sh's tables side by side; for sourcing.

# metric TABLE BENCHMARK UNIT: one value; fails when it is not there.
metric() {
  awk -F' \\| ' -v name="| $2" -v unit="$3" '
    $1 == name {
      n = split($3, part, " · ")
      for (i = 1; i <= n; i++) {sub(/ \|$/, "", part[i]); split(part[i], v, " "); if (v[2] == unit) {print v[1]; found = 1}}
    }
    END {exit !found}' <<<"$1"
}

# ratio WHAT UNIT TABLE OURS THEIRS [TABLE2 THEIRS2]: one row of a Markdown table.
ratio() {
  local ours theirs
  ours=$(metric "$3" "$4" "$2")
  theirs=$(metric "${6:-$3}" "${7:-$5}" "$2")
  awk -v what="$1" -v a="$ours" -v b="$theirs" 'BEGIN {printf "| %s | %.6g | %.6g | %.2f |\n", what, a, b, a / b}'
}
