#!/usr/bin/env bash
# tool.sh: builds the pinned tools (golangci-lint, gofumpt, oapi-codegen) of dev/tools/go.mod once per go.sum and Go
# version, and our own (testsum), and prints the directory that holds them.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

key=$({ cat dev/tools/go.sum dev/tools/go.mod; go env GOVERSION; } | sha256sum | cut -c1-16)
dir=$root/.cache/tools/$key
mkdir -p "$dir"
exec 9>"$root/.cache/tools/lock"   # two suites may ask at the same time
flock 9
export GOWORK=off CGO_ENABLED=0
cd dev/tools
if [ ! -e "$dir/.complete" ]; then
  find "$root/.cache/tools" -mindepth 1 -maxdepth 1 -type d ! -name "$key" -exec rm -rf {} +
  echo "building golangci-lint, gofumpt and oapi-codegen (two to five minutes, once)" >&2
  go build -ldflags '-s -w' -o "$dir/" tool
  touch "$dir/.complete"
fi
go build -o "$dir/" ./cmd/...   # ours change with the tree; the build cache makes this quick
echo "$dir"
