#!/usr/bin/env bash
# presign.sh: presigning against plain minio-go; a batch of 1000 with its reservations; single calls against what a durable commit takes.
set -euo pipefail
. dev/bench/lib/ratio.sh
echo '## Presigning'
echo
echo 'Signing alone, on one core: our PUT with length, type, SHA-256 and if-none-match bound, our GET with name and type of the answer bound,'
echo 'beside minio-go signing the same, and signing a PUT with nothing bound.'
echo
signing=$(dev/bench/lib/gobench.sh controlplane ./internal/s3store 'Sign$' -cpu 1)
echo "$signing"
echo
echo '| presigned URLs/s | Ergon | minio-go | ratio |'
echo '|---|---:|---:|---:|'
ratio 'PUT, everything bound' 'urls/s' "$signing" Sign/put/ergon Sign/put/minio-go
ratio 'GET' 'urls/s' "$signing" Sign/get/ergon Sign/get/minio-go
echo
echo 'Calls of the API on SQLite with FULL durability, over HTTP on loopback: 1000 files reserved, written and presigned in one call (target: half'
echo 'of what minio-go signs); one upload, beside one durable commit of the same database; one download link.'
echo
calls=$(dev/bench/lib/gobench.sh controlplane ./internal/storage/integration 'Presign|DurableCommit' -benchtime 2s)
echo "$calls"
echo
echo '| | Ergon | beside it | ratio |'
echo '|---|---:|---:|---:|'
ratio 'batch of 1000, URLs/s, to minio-go signing the same' 'urls/s' "$calls" PresignBatch1000 "" "$signing" Sign/put/minio-go
ratio 'one upload, ms at the median, to one durable commit' 'p50-ms' "$calls" PresignUpload DurableCommit
echo
echo 'The reservation of 1000 files alone, in both databases:'
echo
dev/bench/lib/gobench.sh controlplane ./internal/gormstore 'Reserve1000'
