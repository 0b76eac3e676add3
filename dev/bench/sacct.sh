#!/usr/bin/env bash
# sacct.sh: how fast rows of sacct are read and reports made.
set -euo pipefail
echo '## Rows of sacct'
echo
echo 'Rows of 44 columns read from memory on one core: with the usual delimiter, with the rare one of our own calls, and with'
echo 'every column parsed to its type; then whole jobs of four rows grouped and analysed. Targets: 50 000 rows/s per core.'
echo
dev/bench/lib/gobench.sh shared ./slurmfmt 'Reader' -cpu 1 -benchtime 2s
echo
dev/bench/lib/gobench.sh shared ./efficiency 'Analyse' -cpu 1 -benchtime 2s
