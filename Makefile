# The front door. `make` builds, `make demo` shows the main job, `make check test` is the gate.
SHELL := /bin/bash
NODE := $(CURDIR)/bin/node
CC ?= cc
CFLAGS_COMMON := -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -Wshadow -Wformat=2 -Wmissing-prototypes -Wswitch-default
HELPER_SOURCES := $(sort $(wildcard runtime/native/*.c))
# The one library beside libc; only its decoder is taken.
HELPER_LIBRARIES := -lzstd
HELPER_HEADERS := $(wildcard runtime/native/*.h)
PAYLOAD_SOURCES := $(sort $(wildcard test/payload/*.c))
PROGRAM_SOURCES := $(wildcard cli/*.ts cli/*/*.ts agent/*.ts agent/*/*.ts manifests/*.ts manifests/*/*.ts metrics/*.ts runtime/*.ts runtime/*/*.ts)
PAYLOADS := $(patsubst test/payload/%.c,build/payload/%,$(PAYLOAD_SOURCES))

.PHONY: all setup setup-tests demo test vm-test check bench types lint clean test-native conformance analyze fuzz flood simulate crash
all: setup build/berth-helper $(PAYLOADS) build/compiled-ahead

setup: node_modules/.package-lock.json
	@bin/setup

node_modules/.package-lock.json: package.json package-lock.json .npmrc
	npm ci --no-audit --no-fund
	@touch $@

build/berth-helper: $(HELPER_SOURCES) $(HELPER_HEADERS)
	@mkdir -p build
	$(CC) $(CFLAGS_COMMON) -static -s -o $@ $(HELPER_SOURCES) $(HELPER_LIBRARIES)

build/payload/%: test/payload/%.c
	@mkdir -p build/payload
	$(CC) $(CFLAGS_COMMON) -static -s -o $@ $<

# The program in few files: it starts sooner than from its sources, and the agent is smaller. What a run seldom needs stays in
# node_modules until it is asked for.
build/program/main.js: $(PROGRAM_SOURCES) package.json node_modules/.package-lock.json
	@rm -rf build/program.new
	@node_modules/.bin/esbuild main=cli/main.ts oci=cli/oci/main.ts metrics-worker=metrics/metrics-worker.ts \
	  --bundle --splitting --format=esm --platform=node --target=node26 --log-level=warning --outdir=build/program.new \
	  --external:undici --external:nodemailer --external:age-encryption --external:cron --external:prom-client \
	  --banner:js="import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);"
	@rm -rf build/program && mv build/program.new build/program

# Node's compile cache, filled: once with the agent's flags, once with those of the other verbs.
build/compiled-ahead: build/program/main.js bin/berth
	@mkdir -p build
	@rm -rf build/compile-cache
	@NODE_OPTIONS=--import=./cli/compile-ahead.ts bin/berth agent --help >/dev/null
	@NODE_OPTIONS=--import=./cli/compile-ahead.ts bin/berth version >/dev/null
	@touch $@

demo: all
	@$(NODE) examples/demo.ts

types: node_modules/.package-lock.json
	node_modules/.bin/tsc -p .

lint: node_modules/.package-lock.json
	node_modules/.bin/oxlint
	node_modules/.bin/biome check --error-on-warnings .
	node_modules/.bin/knip

check: all types lint
	test/run test/tidy.test.ts

setup-tests: setup
	@bin/setup --tests

test: all setup-tests test-native
	test/run
	test/vm/run

# Everything that runs in a Debian guest under QEMU: minutes.
vm-test: all
	test/vm/run --all

test-native: all
	@if [ -x test/native/run ]; then test/native/run; fi

# Static analysis of the helper by gcc and clang-tidy; every finding is an error. gcc takes what is stored at a computed index
# for lost, so leaks are left to the sanitizers of test-native. clang-tidy 14 finds va_lists of later files uninitialized: one at a time.
analyze:
	@bin/setup --analyze
	@mkdir -p build/analyze
	@for source in $(HELPER_SOURCES); do \
	  gcc $(CFLAGS_COMMON) -fanalyzer -Wno-analyzer-malloc-leak -c -o build/analyze/helper.o $$source || exit 1; \
	done
	printf '%s\n' $(HELPER_SOURCES) | xargs -P "$$(nproc)" -n 1 bash -c \
	  'clang-tidy --quiet "$$@" -- -std=c11 -D_GNU_SOURCE 2> >(grep -v "warnings generated" >&2)' bash

# The helper's parsers against inputs that are grown from what reaches new code: FUZZ_SECONDS=600 make fuzz.
fuzz:
	@bin/setup --fuzz
	test/fuzz/run

# A gibibyte in writes of one byte, and lines of that length, through a supervisor: a quarter of an hour.
flood: all
	FLOOD_BYTES=1073741824 test/run test/security/supervisor-flood.test.ts --timeout=2h

# Suites of others against `berth oci`, fetched through the package registries; not part of `make test`.
conformance: all
	@bin/setup --conformance
	test/conformance/run

# Lives of a host with seeded faults; BERTH_SIMULATE_SEED=7 make simulate looks at one of them again.
simulate: all
	BERTH_SIMULATE_SEEDS=$${BERTH_SIMULATE_SEEDS:-20000} test/run test/simulation/simulation.test.ts --timeout=3h

# The agent killed at 200 random instants; BERTH_CRASH_SEED=7 make crash looks at the same ones again.
crash: all
	BERTH_CRASH_KILLS=$${BERTH_CRASH_KILLS:-200} test/run test/crash/instants.test.ts --timeout=3h

# In a network namespace of its own: what the peers do to the host's tables ends with it.
bench: all
	unshare --net --mount --propagation private sh -c 'ip link set lo up && exec $(NODE) bench/run.ts'

clean:
	rm -rf build
