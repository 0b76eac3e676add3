#!/usr/bin/env bash
# generate.sh [ROOT]: writes everything that is generated and checked in: the wire types, client and server from
# shared/apispec/openapi.yaml (one oapi.yaml beside each output), and whatever go:generate lines say.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cd "${1:-$here}"
tools=$("$here/dev/tool.sh")
export PATH=$tools:$PATH GOWORK=off

for module in shared agent controlplane migrations grafana; do
  # Outputs in oapi.yaml are named from the module's directory.
  (cd "$module" && find . -name oapi.yaml -print0 | sort -z |
    xargs -0 -r -I{} oapi-codegen -config {} ../shared/apispec/openapi.yaml)
  packages=$(cd "$module" && { grep -rl --include='*.go' '^//go:generate ' . || true; } | xargs -r -n 1 dirname | sort -u)
  # shellcheck disable=SC2086
  [ -z "$packages" ] || (cd "$module" && go generate $packages)
done
