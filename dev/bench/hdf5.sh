#!/usr/bin/env bash
# hdf5.sh: our reader against h5py on the same files.
set -euo pipefail
echo '## HDF5 profiles'
echo
echo 'The same generated file read by our reader and by h5py (Debian package), one core, in one run. Target: 5 M rows/s for'
echo 'what Slurm writes (deflate level 0).'
echo
table=$(dev/bench/lib/gobench.sh shared ./hdf5 'ReadTasks|H5py' -cpu 1 -benchtime 2s)
echo "$table"
echo
echo '| file | ours, M rows/s | h5py, M rows/s | ratio |'
echo '|---|---:|---:|---:|'
awk -F' \\| ' '
  function rate(text, part, n, i) {
    n = split(text, part, " · ")
    for (i = 1; i <= n; i++) if (part[i] ~ / rows\/s/) return part[i] + 0
    return 0
  }
  {sub(/^\| /, "", $1)}
  $1 ~ /^ReadTasks\/.*\/memory$/ {split($1, name, "/"); ours[name[2]] = rate($3); order[++count] = name[2]}
  $1 ~ /^H5py\// {split($1, name, "/"); theirs[name[2]] = rate($3)}
  END {
    for (i = 1; i <= count; i++) {
      file = order[i]
      if (!theirs[file]) exit 1
      printf "| %s | %.2f | %.2f | %.1f |\n", file, ours[file] / 1e6, theirs[file] / 1e6, ours[file] / theirs[file]
    }
    if (!count) exit 1
  }' <<<"$table"
