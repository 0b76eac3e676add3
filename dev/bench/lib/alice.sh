# shellcheck shell=bash
# shellcheck disable=SC2154  # prefix, of the private cluster, is set by the benchmark that sources this
# What benchmarks share that time commands of the user alice on a private cluster.

as_alice() { setpriv --reuid alice --regid alice --init-groups --reset-env env HOME="$BENCH_TMP/home" PATH="$PATH" SLURM_CONF="$prefix/etc/slurm.conf" "$@"; }

# quantile FILE Q: of times in microseconds, one a line; printed in milliseconds.
quantile() { sort -n "$1" | awk -v q="$2" '{v[NR] = $1} END {i = int(q * NR + 0.5); if (i < 1) i = 1; printf "%.1f", v[i] / 1000}'; }

# row NAME FILE: a line of the table: the median and the 99th percentile of the times in alice's FILE.
row() { echo "| $1 | $(quantile "$BENCH_TMP/home/$2" 0.5) | $(quantile "$BENCH_TMP/home/$2" 0.99) |"; }
