# Names for command lines; what CI runs too is written down in .ci/run alone.

export GOTOOLCHAIN := auto

LINT := go tool -modfile=tools/go.mod golangci-lint
# Without it gRPC links html/template, and the linker keeps every exported method of weir.
TAGS := grpcnotrace
SEED ?= 1
PKG ?= ./bench
BENCH ?= .
BENCHTIME ?= 5x
BASE ?=
COUNT ?= 6
DURATION ?= 10m

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Compile everything
	go build -tags $(TAGS) ./...

.PHONY: weir
weir: ## Build the binary of the cluster: bin/weir
	CGO_ENABLED=0 go build -trimpath -tags $(TAGS) -ldflags '-s -w' -o bin/weir ./cmd/weir

.PHONY: test
test: ## Run all tests
	go test ./...

.PHONY: race
race: ## Run the tests with the race detector and invariants, but for those of whole processes
	.ci/run race

.PHONY: purego
purego: ## Run the tests of what assembly and mmap stand beside, without them
	.ci/run purego

.PHONY: sim
sim: ## Replay one simulation: make sim SEED=42
	go test ./test/sim -run TestSim -count=1 -v -sim.seed=$(SEED)

.PHONY: chaos
chaos: ## Kill, stop and cut off parts of clusters at random: make chaos DURATION=10m SEED=42
	go test ./test/cluster -run '^TestChaos$$' -count=1 -v -timeout 0 -chaos.duration=$(DURATION) \
		$(if $(filter command line environment,$(origin SEED)),-chaos.seed=$(SEED))

.PHONY: bench
bench: ## Run benchmarks, of whole jobs by default: make bench PKG=./element BENCHTIME=1s
	go test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem $(PKG)

.PHONY: bench-compare
bench-compare: ## Compare benchmarks with another commit: make bench-compare BASE=main PKG=./element COUNT=10
	@tools/benchcompare.sh '$(BASE)' '$(PKG)' '$(BENCH)' '$(BENCHTIME)' '$(COUNT)'

.PHONY: bench-cluster
bench-cluster: ## Measure clusters of processes: start, idle parts, kills, many jobs; make bench-cluster ARGS='-only start'
	go run ./bench/cluster $(ARGS)

.PHONY: bench-growth
bench-growth: ## Measure how cost grows with subtasks, channels, keys, windows and state; make bench-growth ARGS='-only channels'
	go run ./bench/growth $(ARGS)

.PHONY: bench-safety
bench-safety: ## Measure what checkpoints cost, and ways between TaskManagers: make bench-safety ARGS='--only ways'
	go run ./bench/safety $(ARGS)

.PHONY: latency
latency: ## Measure how long results take, at two rates, beside a control: make latency ARGS='--rates 10000'
	go run ./bench/latency $(ARGS)

.PHONY: flink-clients
flink-clients: ## Try Flink's command line, operator's calls and dashboard; FLINK_HOME=DIR to install Flink there
	go run ./test/flinkclients

.PHONY: lint
lint: ## Run the linters
	.ci/run lint

.PHONY: fmt
fmt: ## Format the code
	$(LINT) fmt

.PHONY: fix
fix: ## Let the linters mend what they can
	$(LINT) run --fix ./...

.PHONY: generate
generate: ## Generate the Go code of the protobuf messages
	go run -C tools ./protogen

.PHONY: verify
verify: ## See that formatting, go.mod and generated files are up to date
	.ci/run format tidy generate

.PHONY: check
check: fmt ## Before a commit: format, lint, short tests
	.ci/run lint
	go test -short ./...

.PHONY: docs
docs: ## Serve the documentation of the packages
	go doc -http

.PHONY: ci
ci: ## Run all that a change must pass
	.ci/run
