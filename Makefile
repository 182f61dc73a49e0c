# Front door: every target in one line each, `make help` lists them. How things are built stands in CMakeLists.txt,
# how they are run in scripts/, demo/ and tests/.
BUILD ?= build
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 60
CMAKE = cmake -G Ninja -S . -Wno-dev --log-level=WARNING
NINJA = NINJA_STATUS='[%f/%t %es] ' ninja -j $(JOBS)
CTEST = ctest --output-on-failure --no-tests=error
TEST_TREES = build-asan:check build:root build:vm
export PREFIX DESTDIR PURGE FUZZ_SECONDS

.DEFAULT_GOAL := build
.PHONY: help deps build debug tsan agent agent-static demo test check check-root check-vm vm-report check-tsan fuzz soak \
	bench install uninstall clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

deps: ## install the packages that building, demo and tests need (Debian, apt-get)
	@scripts/deps build demo test vm

build: ## optimised programs in build/bin
	@scripts/deps build
	@$(CMAKE) -B $(BUILD) -DCMAKE_BUILD_TYPE=RelWithDebInfo -DNFR_UNIT_TESTS=OFF
	@$(NINJA) -C $(BUILD)

debug: ## programs and unit tests with ASan and UBSan, in build-asan/
	@scripts/deps test
	@$(CMAKE) -B build-asan -DCMAKE_BUILD_TYPE=Debug -DNFR_SANITIZE=address
	@$(NINJA) -C build-asan

tsan: ## programs and unit tests with TSan, in build-tsan/
	@scripts/deps test
	@$(CMAKE) -B build-tsan -DCMAKE_BUILD_TYPE=Debug -DNFR_SANITIZE=thread
	@$(NINJA) -C build-tsan

agent: ## nfagent alone, in build-agent/bin: needs no SQLite, no tools for BPF
	@scripts/deps agent-build
	@$(CMAKE) -B build-agent -DCMAKE_BUILD_TYPE=RelWithDebInfo -DNFR_AGENT_ONLY=ON -DNFR_TESTS=OFF
	@$(NINJA) -C build-agent nfagent

agent-static: ## nfagent without shared libraries, build-agent/bin/nfagent-static
	@scripts/deps agent-build
	@$(CMAKE) -B build-agent -DCMAKE_BUILD_TYPE=RelWithDebInfo -DNFR_AGENT_ONLY=ON -DNFR_TESTS=OFF
	@$(NINJA) -C build-agent nfagent-static

demo: ## a visitor, a relay and a machine behind NAT on this machine: what it looks like, in a minute
	@scripts/deps build demo
	@$(MAKE) --no-print-directory build
	@demo/run

test: ## every test: check, check-root and check-vm in one run
	@scripts/deps vm
	@$(MAKE) --no-print-directory debug build
	@scripts/run-tests $(TEST_TREES)

check: debug ## tests that need neither root nor network
	@cd build-asan && $(CTEST) -L check -j $(JOBS)

check-root: build ## tests that make network namespaces (root)
	@scripts/deps test
	@scripts/as-root "run the tests that make network namespaces" $(CTEST) --test-dir $(BUILD) -L root

check-vm: debug build ## the same tests on other kernels and on three machines, in QEMU (root)
	@scripts/deps vm
	@scripts/as-root "make guests of this machine's packages" $(CTEST) --test-dir $(BUILD) -L vm -j 2

vm-report: ## write docs/kernel-support.md from what check-vm found (root)
	@scripts/as-root "probe this kernel" vm-tests/run report

check-tsan: tsan ## the tests of `make check` under TSan
	@cd build-tsan && $(CTEST) -L check -j $(JOBS)

fuzz: ## libFuzzer targets with ASan and UBSan, a minute each or FUZZ_SECONDS=10 (clang)
	@scripts/deps fuzz
	@CXX=clang++ CC=clang $(CMAKE) -B build-fuzz -DCMAKE_BUILD_TYPE=Debug -DNFR_FUZZ=ON -DNFR_SANITIZE=address \
		-DNFR_UNIT_TESTS=OFF
	@$(NINJA) -C build-fuzz fuzz
	@$(CTEST) --test-dir build-fuzz -L fuzz

soak: build ## the long runs (root)
	@scripts/deps test
	@scripts/as-root "run the long tests in network namespaces" $(CTEST) --test-dir $(BUILD) -L soak

bench: ## what docs/benchmarks.md shows, measured on this machine (root; quiet, 45 minutes); BENCH="--pairs 5" for flags
	@scripts/deps build bench
	@$(MAKE) --no-print-directory build
	@scripts/as-root "measure in network namespaces" env NFR_BIN=$(abspath $(BUILD))/bin python3 tests/bench/run.py $(BENCH)

install: ## programs, units, man pages under PREFIX (/usr/local), below DESTDIR if given
	@scripts/install $(BUILD)

uninstall: ## remove what install put there; PURGE=1 also state and configuration
	@scripts/uninstall

clean: ## remove the build directories
	@rm -rf build build-asan build-tsan build-agent build-fuzz build-tests build-vm
