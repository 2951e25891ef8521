# The developer's verbs. `make help` lists them.
SHELL := /bin/bash
JOBS ?= $(shell nproc)
EVENTS ?= 1M
DIR ?= tests/conformance/rating
TOLLBOOK := build/release/tollbook

.DEFAULT_GOAL := help
.PHONY: help deps deps-tryton build demo conformance contracts test test-sanitizers test-tsan bench bench-peers growth tricks profile figures tidy clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

deps: ## install the Debian packages that are missing
	@tools/deps.sh

deps-tryton: ## install Tryton, the ERP of one of the tests, which skips itself without it
	@tools/tryton-deps.sh

build: deps ## build/release/tollbook
	cmake --preset release
	cmake --build --preset release -j $(JOBS) --target tollbook

demo: build ## generate telemetry (EVENTS=1M), run the main job on it, print the journal
	@rm -rf demo/books
	@mkdir -p demo
	$(TOLLBOOK) generate --events $(EVENTS) --out demo/usage.ndjson --catalog-out demo/catalog
	$(TOLLBOOK) run --books demo/books --catalog demo/catalog demo/usage.ndjson

conformance: build ## quote the vectors of other billing systems (DIR=tests/conformance/rating), and compare
	$(TOLLBOOK) quote --vectors $(DIR)

# npm is Node.js's; package-lock.json says which packages, to the byte, and not where they come from.
build/contracts/node_modules: tests/contracts/package.json tests/contracts/package-lock.json
	@command -v npm >/dev/null || { echo "make contracts: npm is missing: install Node.js 20 or later (nodejs, npm)" >&2; exit 1; }
	@mkdir -p build/contracts
	cp $^ build/contracts/
	cd build/contracts && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

contracts: build build/contracts/node_modules ## hold each request of the emitters against mocks of the APIs' descriptions
	cmake --build --preset release --target disk_shim
	TOLLBOOK_DISK_SHIM=$(CURDIR)/build/release/tests/libdisk_shim.so python3 -B tests/e2e/contract_test.py $(TOLLBOOK)

test: deps ## build all and run every test
	cmake --preset release
	cmake --build --preset release -j $(JOBS)
	ctest --preset release -j $(JOBS)

test-sanitizers: deps ## the tests again under AddressSanitizer and UndefinedBehaviorSanitizer (slow)
	cmake --preset asan-ubsan
	cmake --build --preset asan-ubsan -j $(JOBS)
	ctest --preset asan-ubsan -j $(JOBS)

test-tsan: deps ## the parallel parts under ThreadSanitizer, with an instrumented oneTBB (slow)
	dpkg -s clang dpkg-dev >/dev/null 2>&1 || apt-get install -y clang dpkg-dev
	cmake --preset tsan -DTOLLBOOK_MARCH=
	cmake --build --preset tsan -j $(JOBS) --target pipeline_tests tollbook
	LD_LIBRARY_PATH=$$(tools/instrumented_tbb.sh build/tsan-tbb) TSAN_OPTIONS="suppressions=$(CURDIR)/tests/tsan.supp halt_on_error=1" \
	  build/tsan/tests/pipeline_tests

bench: deps ## measure the parts, the whole job, and its ratio to simdjson alone (minutes)
	cmake --preset release
	cmake --build --preset release -j $(JOBS) --target bench_parts bench_whole bench_seal bench_outbox
	@mkdir -p build/bench
	build/release/bench/bench_parts --benchmark_filter=-^Rate --benchmark_repetitions=3 --benchmark_out=build/bench/parts.json --benchmark_out_format=json
	build/release/bench/bench_parts --benchmark_filter=^Rate --benchmark_repetitions=3 --benchmark_out=build/bench/parts-rating.json --benchmark_out_format=json
	build/release/bench/bench_whole --csv build/bench/whole.csv $(BENCH)
	build/release/bench/bench_seal
	build/release/bench/bench_outbox

build/peers/node_modules: bench/peers/package.json bench/peers/package-lock.json
	@command -v npm >/dev/null || { echo "make bench-peers: npm is missing: install Node.js 20 or later (nodejs, npm)" >&2; exit 1; }
	@mkdir -p build/peers
	cp $^ build/peers/
	cd build/peers && npm install --ignore-scripts --no-audit --no-fund
	@touch $@

bench-peers: deps build/peers/node_modules ## measure beside DuckDB, ClickHouse, Polars, Python (PEERS="--rounds 5 --events 10000000")
	cmake --preset release
	cmake --build --preset release -j $(JOBS) --target tollbook bench_decode_floor
	python3 -B bench/peers/run.py --tollbook $(TOLLBOOK) --floor build/release/bench/bench_decode_floor $(PEERS)

growth: deps ## measure what an event costs as things grow (GROWTH=--large: 100M events; --full: 1G, and 5M subscriptions)
	cmake --preset release
	cmake --build --preset release -j $(JOBS) --target tollbook bench_decode_floor
	python3 -B bench/growth.py --tollbook $(TOLLBOOK) --floor build/release/bench/bench_decode_floor $(GROWTH)

tricks: deps ## count the instructions of each trick and of its plain twin (needs valgrind)
	@command -v valgrind >/dev/null || { echo "make tricks: valgrind is missing: install it (Debian: valgrind)" >&2; exit 1; }
	cmake --preset release
	cmake --build --preset release -j $(JOBS) --target bench_tricks
	python3 -B bench/tricks.py --program build/release/bench/bench_tricks

profile: deps ## a flame graph of a run, and where its time goes by subjects (PROFILE="10M 100000": events, subscriptions; needs perf)
	cmake --preset release
	cmake --build --preset release -j $(JOBS) --target tollbook
	bench/profile.sh $(TOLLBOOK) build/bench $(PROFILE)

figures: ## put what was measured into docs/performance.md, and draw its pictures
	python3 -B bench/figures.py

tidy: ## check arrows between rooms, paths in documents, leftovers
	@python3 -B tests/tidy_test.py .

clean: ## remove what was built and the demo
	rm -rf build demo
