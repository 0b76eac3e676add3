#!/usr/bin/env bash
# verify.sh: fails when a generated file differs from what `make generate` would write now. The tree may have changes
# that are not committed: it is copied as it stands, generated there, and compared.
set -euo pipefail
cd "$(dirname "$0")/.."
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

git ls-files -z --cached --others --exclude-standard |
  while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
  tar -c --null -T - | tee >(tar -x -C "$copy" --one-top-level=now) | tar -x -C "$copy" --one-top-level=fresh
dev/generate.sh "$copy/fresh"
cd "$copy"
if ! diff -ru now fresh; then
  echo "verify: generated files are stale: run \`make generate\` and commit the result" >&2
  exit 1
fi
