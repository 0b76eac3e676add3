#!/bin/sh
# Builds the OpenID provider of the tests (provider/main.go, on the example server of zitadel/oidc) into .cache, once for each version in go.mod.
set -eu
cd "$(dirname "$0")"
out=$PWD/../../.cache
want=$(cat go.mod go.sum build.sh provider/main.go | sha256sum | cut -c1-16)
if [ -x "$out/oidc-provider" ] && [ "$(cat "$out/oidc-provider.version" 2>/dev/null || true)" = "$want" ]; then
	exit 0
fi
mkdir -p "$out"
exec 9>"$out/oidc-provider.lock"
flock 9
echo "building the OpenID provider for the login tests (once)" >&2
export GOWORK=off GOFLAGS=-mod=readonly CGO_ENABLED=0
go build -trimpath -o "$out/oidc-provider.new" ./provider
mv "$out/oidc-provider.new" "$out/oidc-provider"
echo "$want" >"$out/oidc-provider.version"
