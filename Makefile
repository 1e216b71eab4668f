# SPDX-License-Identifier: BSD-2-Clause
# The two commands that matter: make run, make test. Everything else is for people who work on chimney.

BUILD ?= build

all: $(BUILD)/chimney

.PHONY: all run test test-long test-apps bench lint deps install clean

# Installs what is missing from Debian's packages (as root), or names it.
deps:
	@tools/install-deps run

$(BUILD)/build.ninja:
	@tools/install-deps run
	meson setup $(BUILD) --buildtype=debugoptimized -Db_ndebug=true >$(BUILD).log 2>&1 || (cat $(BUILD).log; exit 1)
	@rm -f $(BUILD).log

.PHONY: $(BUILD)/chimney
$(BUILD)/chimney: $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet src/cli/chimney
	@ln -sf src/cli/chimney $(BUILD)/chimney
	@ln -sf src/cli/chimney $(BUILD)/chimneyd

# The main job: live kernel connections go down the chimney and come back.
run: $(BUILD)/chimney
	$(BUILD)/chimney demo

# Program, man pages, completion, service units and an empty policy; DESTDIR is respected.
install: $(BUILD)/chimney
	meson install -C $(BUILD) --no-rebuild

# All tests that need no special machine; the last line counts them.
test:
	@tools/install-deps test
	@tools/run-tests

# Ten minutes of libFuzzer for each harness (clang).
test-long:
	@tools/install-deps test
	@tools/fuzz-long

# Real programs, natively and offloaded, and with their connections moved all the time.
test-apps: $(BUILD)/chimney
	@tools/install-deps apps
	@ninja -C $(BUILD) --quiet
	meson test -C $(BUILD) --no-rebuild --suite apps --print-errorlogs

# Every figure, ours and the peers' in turns; raw samples stay under bench/results.
bench:
	@tools/install-deps bench
	@test -f build-bench/build.ninja || meson setup build-bench --buildtype=release -Db_ndebug=true -Db_lto=true >/dev/null
	@ninja -C build-bench --quiet bench/chimney-bench
	@mkdir -p bench/results
	build-bench/bench/chimney-bench --json >bench/results/$$(date +%Y-%m-%d-%H%M%S).json
	@bench/table bench/results/*.json

# Formatting, static analysis and the table of who may include whom.
lint:
	@tools/install-deps test
	@tools/lint

clean:
	rm -rf $(BUILD) build-*
