#!/usr/bin/env bash
# test.sh [SUITE…]: runs the suites (all of them when none is named) and prints their counts.
#   lint verify unit databases fuzz race e2e
# The last line is exactly "N passed, N failed, N skipped"; the status says whether all passed.
# Go compiles on both cores, so suites that compile run one after another; e2e, which mostly waits, runs beside them.
set -euo pipefail
cd "$(dirname "$0")/.."
began=${ERGON_TEST_BEGAN:-$(date +%s)}   # make test counts what it installs too
suites=("$@")
[ $# -gt 0 ] || suites=(build unit databases fuzz race lint verify e2e)

work=$(mktemp -d "${TMPDIR:-/tmp}/ergon-test.XXXXXX")
chmod 711 "$work"   # user postgres passes through to its own directory
record=$work/record
background=()
cleanup() {
  local pid
  for pid in "${background[@]}"; do kill "$pid" 2>/dev/null || true; done
  [ ! -d "$work/postgres" ] || dev/postgres/down "$work/postgres" || true
  rm -rf "$work"
}
trap cleanup EXIT

tools=$(dev/tool.sh)
[ "$(id -u)" != 0 ] || dev/slurm/users add   # tests of the agent become them
export GOWORK=off   # the workspace would hide a leak between modules
# One set of build flags for programs and tests: the cache then serves both. Vet is part of lint.
flags=(-trimpath -vet=off)
export GOFLAGS="${GOFLAGS:-} -trimpath"

wanted() { [[ " ${suites[*]} " == *" $1 "* ]]; }

# go_suite NAME DIRECTORY ARGUMENTS…: a failed suite is counted, not the end of the run.
go_suite() {
  local name=$1 dir=$2; shift 2
  (cd "$dir" && "$tools/testsum" suite "$name" "$record" -- go test -json "${flags[@]}" "$@") || true
}

step() { "$tools/testsum" step "$1" "$record" -- "${@:2}" || true; }

modules_with_tests() {
  local m
  for m in shared agent migrations grafana controlplane; do
    [ -z "$(find "$m" -name '*_test.go' -print -quit)" ] || echo "$m"
  done
}

# cgo only where the product has it: the agent's static build is what is tested.
cgo_of() { case $1 in controlplane) echo 1 ;; *) echo 0 ;; esac; }

# packages MODULE PATTERN [FILES]: import paths, relative to the module, of packages with a matching file.
packages() {
  (cd "$1" && grep -rlE --include="${3:-*.go}" "$2" . | grep -v -e zzstub -e /testdata/ | xargs -r -n 1 dirname | sort -u) || true
}

unit_suite() {
  local m
  for m in $(modules_with_tests); do
    local list
    # A module that cannot be listed is run whole: go test then says why, and the failure is counted.
    list=$(cd "$m" && CGO_ENABLED=$(cgo_of "$m") go list ./... 2>/dev/null | { grep -v -e /zzstub -e /gormstore || true; }) || list=./...
    # shellcheck disable=SC2086
    [ -z "$list" ] || CGO_ENABLED=$(cgo_of "$m") go_suite "unit $m" "$m" -skip '^Fuzz' -timeout 10m $list
  done
  CGO_ENABLED=0 go_suite "unit tools" dev/tools ./cmd/...
}

# Everything that runs once per database, on SQLite and on a real PostgreSQL.
databases_suite() {
  local list; list=$(packages controlplane . '*_test.go' | grep gormstore || true)
  [ -n "$list" ] || return 0
  local port env
  port=$(free_port)
  env=$(dev/postgres/up "$work/postgres" "$port") || { step databases dev/postgres/up "$work/postgres" "$port"; return; }
  eval "$env"
  # shellcheck disable=SC2086
  CGO_ENABLED=1 go_suite databases controlplane -count=1 -skip '^Fuzz' -timeout 10m $list
  unset ERGON_TEST_POSTGRES_URL
  dev/postgres/down "$work/postgres"
}

free_port() {
  local port
  for port in $(seq 19400 19499); do
    [ -n "$(ss -Hltn "sport = :$port")" ] || { echo "$port"; return; }
  done
  echo "test.sh: no free port from 19400 to 19499" >&2
  return 1
}

# The checked-in seeds of every fuzz target; `make fuzz` searches for new inputs.
fuzz_suite() {
  local m list
  for m in $(modules_with_tests); do
    list=$(packages "$m" '^func Fuzz' '*_test.go')
    # shellcheck disable=SC2086
    [ -z "$list" ] || CGO_ENABLED=$(cgo_of "$m") go_suite "fuzz seeds $m" "$m" -run '^Fuzz' -timeout 10m $list
  done
}

# Instrumented builds share nothing with the others, so only packages with concurrency of their own are run, without the
# tests that walk a long list step by step: unit has them, and here they would take half of the time.
race_suite() {
  local m list walks='T14_EveryRoute|T18_Hostile|KillAtEveryBoundary|Kill9AtEachStep'
  for m in $(modules_with_tests); do
    list=$(packages "$m" '^[^/]*\bgo (func|[a-z]+[.(A-Za-z]*\()|"sync(/atomic)?"|x/sync/|"testing/synctest"')
    list=$(for p in $list; do [ -z "$(find "$m/$p" -maxdepth 1 -name '*_test.go' -print -quit)" ] || echo "$p"; done)
    # shellcheck disable=SC2086
    [ -z "$list" ] || CGO_ENABLED=1 go_suite "race $m" "$m" -race -skip "^Fuzz|$walks" -timeout 20m $list
  done
}

e2e_suite() {
  local limit=25m
  [ "${ERGON_TEST_FULL:-}" != 1 ] || limit=3h
  # Copies: Unix users of the tests run them, and the tree may lie below a directory that only its owner enters.
  install -d -m 755 "$work/bin"
  install -m 755 -t "$work/bin" bin/* || true   # without programs each test says so
  CGO_ENABLED=0 ERGON_PACKAGING=1 ERGON_BIN_DIR=$work/bin go_suite e2e e2e -count=1 -p 2 -timeout $limit ./...
}

compiling_suites() {
  local name
  for name in unit databases fuzz race; do ! wanted "$name" || "${name}_suite"; done
  ! wanted lint || step lint dev/lint.sh
  ! wanted verify || step verify dev/verify.sh
}

if wanted build || wanted e2e; then step build make --no-print-directory build; fi
# Built here and not within a test's time limit. ERGON_SKIP_MINIO=1 leaves it out; its tests then say so.
if wanted unit && [ "${ERGON_SKIP_MINIO:-}" != 1 ]; then step "build minio" dev/minio/build.sh; fi
if wanted unit || wanted race; then step "build oidc provider" dev/oidc/build.sh; fi
if wanted e2e; then
  if [ ${#suites[@]} -gt 2 ]; then
    e2e_suite >"$work/e2e.log" 2>&1 &
    background+=($!)
    compiling_suites
    wait "${background[@]}" || true
    background=()
    cat "$work/e2e.log"
  else
    e2e_suite
  fi
else
  compiling_suites
fi
ERGON_TEST_SECONDS=$(($(date +%s) - began)) "$tools/testsum" total "$record"
