#!/usr/bin/env bash
# lint.sh [MODULE…]: golangci-lint over each module by itself (GOWORK=off), and shellcheck over the shell scripts.
# Prints findings; fails when there is one.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$(dev/tool.sh)
# The cache holds findings by absolute path, before exclusions and nolint are applied: shared between clones, it
# reports those of a clone that is gone. So each tree has its own.
export GOLANGCI_LINT_CACHE=$PWD/.cache/golangci-lint
failed=0
modules=("$@")   # dev/minio is one small file below all of MinIO, which would have to be compiled here
[ $# -gt 0 ] || modules=(shared agent migrations grafana e2e dev/tools dev/oidc controlplane)

for module in "${modules[@]}"; do
  [ -n "$(find "$module" -name '*.go' -print -quit)" ] || continue
  echo "lint: $module"
  # The same cgo setting as the tests of the module, so that both use one build cache.
  cgo=0; [ "$module" != controlplane ] || cgo=1
  (cd "$module" && CGO_ENABLED=$cgo GOWORK=off "$tools/golangci-lint" run --config "$OLDPWD/.golangci.yml" \
    --max-issues-per-linter=0 --max-same-issues=0 ./...) || failed=1
done
if [ $# = 0 ]; then
  echo "lint: shell"
  git ls-files -z --cached --others --exclude-standard dev e2e packaging .ci systemd |
    while IFS= read -r -d '' file; do
      [ -f "$file" ] || continue
      case $file in *.sh) printf '%s\0' "$file" ;; *) ! head -c 30 "$file" | grep -qE '^#!.*\b(ba|)sh' || printf '%s\0' "$file" ;; esac
    done | xargs -0 -r shellcheck -x || failed=1
fi
exit "$failed"
