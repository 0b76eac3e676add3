#!/usr/bin/env bash
# transfer.sh: one file of 256 MiB by `ergon files put` and `get`, beside plain minio-go on the same store: the embedded one, and MinIO.
set -euo pipefail
. dev/bench/lib/ratio.sh
echo '## Transfers of a user'
echo
echo 'A file of 256 MiB between the disk and the store over loopback, four requests at once. ergon runs as a program of its own, hashes the file'
echo 'before it sends it (the store then verifies every part) and every byte that it gets, syncs what it got, and asks the server for each signature; minio-go'
echo 'uses the maintenance identity and verifies no download. Client, server and store share the cores, so the ratio says more than the figure.'
echo
export ERGON_BIN_DIR=$PWD/bin
table=$(CGO_ENABLED=1 dev/bench/lib/gobench.sh controlplane ./internal/app 'Transfer' -benchtime 3x)
echo "$table"
echo
echo '| MB/s | Ergon | minio-go | ratio |'
echo '|---|---:|---:|---:|'
for store in embedded minio; do
  ratio "$store store, upload" MB/s "$table" "Transfer/$store/put/ergon" "Transfer/$store/put/minio-go"
  ratio "$store store, download" MB/s "$table" "Transfer/$store/get/ergon" "Transfer/$store/get/minio-go"
done
