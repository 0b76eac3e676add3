#!/usr/bin/env bash
# transfer.sh: one file of 256 MiB by `ergon files put` and `get`, beside plain minio-go on the same store.
set -euo pipefail
echo '## Transfers of a user'
echo
echo 'A file of 256 MiB between the disk and the embedded store over loopback, four requests at once. ergon runs as a program of its own, hashes the file'
echo 'before it sends it (the store then verifies every part) and every byte that it gets, syncs what it got, and asks the server for each signature; minio-go'
echo 'uses the maintenance identity and verifies no download. Client, server and store share the cores, so the ratio says more than the figure.'
echo
export ERGON_BIN_DIR=$PWD/bin
CGO_ENABLED=1 dev/bench/lib/gobench.sh controlplane ./internal/app 'Transfer' -benchtime 3x
