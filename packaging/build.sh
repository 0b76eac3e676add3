#!/usr/bin/env bash
# build.sh [OUT]: deb and rpm of agent and server into OUT (dist/) from the programs in $ERGON_BIN_DIR (bin/; `make build`
# first). The same tree and programs give the same bytes: all files get the time of the last commit, or SOURCE_DATE_EPOCH.
# nfpm is built once from packaging/tools (half a minute of two cores); `build.sh --tool` prints where it is, or would be.
set -euo pipefail
cd "$(dirname "$0")/.."
export GOWORK=off

key=$({ cat packaging/tools/go.sum packaging/tools/go.mod; go env GOVERSION; } | sha256sum | cut -c1-16)
tool=$PWD/.cache/packaging/$key/nfpm
if [ "${1:-}" = --tool ]; then echo "$tool"; exit; fi
out=$(realpath -m "${1:-dist}")
bin=$(realpath "${ERGON_BIN_DIR:-bin}")
mkdir -p "${tool%/*}" "$out"

if [ ! -x "$tool" ]; then
  echo "build.sh: building nfpm" >&2
  (cd packaging/tools && CGO_ENABLED=0 go build -ldflags '-s -w' -o "$tool.new" github.com/goreleaser/nfpm/v2/cmd/nfpm)
  mv "$tool.new" "$tool"
fi

for program in ergon ergon-sbatch ergon-agent ergon-server; do
  [ -x "$bin/$program" ] || { echo "build.sh: $bin/$program is missing: run \`make build\` first" >&2; exit 1; }
done

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
ERGON_ARCH=$(go env GOARCH)
# A version must begin with a digit: an untagged tree is 0.0.0 plus its commit.
ERGON_VERSION=${VERSION:-$(git describe --tags --match 'v[0-9]*' 2>/dev/null || echo "0.0.0+git$(git rev-parse --short=12 HEAD)")}
export ERGON_ARCH ERGON_VERSION=${ERGON_VERSION#v}

# The configurations name files as they lie in the tree; the programs may lie elsewhere.
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
ln -s "$PWD"/{packaging,systemd,docs,grafana} "$stage/"
ln -s "$bin" "$stage/bin"
cd "$stage"
for package in agent server; do
  for format in deb rpm; do
    "$tool" package --config "packaging/nfpm/$package.yaml" --packager "$format" --target "$out/" >&2
  done
done
ls -1 "$out"
