# Every target says what it does in the comment behind it; `make help` prints them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
export PATH := $(PATH):/usr/local/go/bin

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X github.com/ergon-hpc/ergon/shared/buildinfo.Version=$(VERSION)
# The modules are built as their users build them, each by itself.
BUILD := GOWORK=off go build -trimpath -ldflags "$(LDFLAGS)"

.PHONY: help build agent server test test-full unit race lint e2e fuzz bench cover generate verify demo demo-down clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: agent server ## build bin/ergon, bin/ergon-sbatch, bin/ergon-agent (static) and bin/ergon-server

agent: # the programs of login nodes: no cgo, no libc
	@dev/install.sh
	cd agent && CGO_ENABLED=0 $(BUILD) -o ../bin/ ./cmd/...

server: # the only program with cgo (SQLite)
	@dev/install.sh
	cd controlplane && CGO_ENABLED=1 $(BUILD) -o ../bin/ ./cmd/...

test: ## install what is needed, then run every suite (at most 35 minutes cold on two cores)
	@began=$$(date +%s) && dev/install.sh test && ERGON_TEST_BEGAN=$$began dev/test.sh

test-full: ## the large figures, by hand before a release; writes docs/test-report.md
	@dev/install.sh test
	@dev/test-full.sh

unit: ## unit and property tests, and those of both databases
	@dev/install.sh test
	@dev/test.sh unit databases

race: ## tests of packages with concurrency, under the race detector
	@dev/install.sh test
	@dev/test.sh race

lint: ## golangci-lint per module and shellcheck
	@dev/install.sh lint
	@dev/lint.sh

e2e: ## real programs on a real Slurm cluster
	@dev/install.sh test
	@dev/test.sh e2e

fuzz: ## search for new inputs with every fuzz target, FUZZ_SECONDS (30) each
	@dev/install.sh
	@dev/fuzz.sh $(or $(FUZZ_SECONDS),30)

bench: build ## run the benchmarks and write docs/benchmarks.md (BENCH="name …" for some)
	@dev/install.sh bench
	@dev/bench.sh $(BENCH)

cover: ## statement coverage of each module
	@dev/install.sh test
	@dev/cover.sh

generate: ## write generated code again
	@dev/install.sh
	@dev/generate.sh

verify: ## fail when generated code is stale
	@dev/install.sh
	@dev/verify.sh

demo: ## a private cluster, server and agent, real jobs and their reports
	@dev/install.sh demo
	@$(MAKE) --no-print-directory build
	@dev/demo/up

demo-down: ## remove everything that the demo made
	@dev/demo/down

clean: ## remove what was built (bin, coverage, tools)
	rm -rf bin coverage .cache
