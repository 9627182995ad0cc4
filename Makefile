# flexwatt: `make help` tells the targets. Each one installs what it needs and is not there (scripts/setup), builds, works.
RELEASE := build/release
CHECKED := build/test
PYTEST := /usr/bin/python3 -m pytest -q -p no:cacheprovider
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help build demo test test-slow test-clients test-apps test-s3 test-languages test-vm test-fresh bench lint fuzz docs install install-caps clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

build: ## the release build: build/release/src/cli/flexwatt
	@scripts/build release

demo: build ## run an application on this machine and show its report: make demo [EXAMPLE=video]
	@scripts/demo $(RELEASE) $(EXAMPLE)

test: ## unit tests, and the real binary as a user would run it; all with sanitizers
	@scripts/setup test && scripts/build test
	@meson test -C $(CHECKED) --no-rebuild --suite unit --print-errorlogs
	@scripts/test-e2e $(CHECKED)

test-slow: ## property tests over 10,000 seeds, threads under TSan, a kill at every event
	@scripts/setup test && scripts/build test && scripts/build tsan && scripts/test-slow

test-clients: build ## AWS's own Python runtime client runs our workflows; OpenCV against our kernels
	@scripts/setup test && FLEXWATT_BUILD=$(RELEASE) $(PYTEST) tests/clients

test-s3: ## S3 against MinIO and versitygw, which check signatures, and against a proxy that makes faults
	@scripts/setup test s3 && scripts/build test && FLEXWATT_BUILD=$(CHECKED) $(PYTEST) tests/s3

test-languages: build ## one function of each language: our Python, Node, Go, shell; interpreters wherever they lie
	@scripts/setup test languages && FLEXWATT_BUILD=$(RELEASE) $(PYTEST) tests/languages

test-apps: build ## the applications against the Python libraries that they are compared with
	@scripts/setup test && FLEXWATT_BUILD=$(RELEASE) $(PYTEST) tests/apps

test-vm: ## the sandbox on cgroup v2, as root and as a normal user, in a QEMU guest
	@scripts/setup vm test && scripts/build vm && scripts/test-vm build/vm

test-fresh: ## the two commands on a minimal Debian 12, as a new user
	@scripts/setup fresh && scripts/test-fresh

bench: build ## speed and memory against floors and peers: make bench [ONLY=engine] [QUICK=1]
	@scripts/setup bench && bench/run --build $(RELEASE) $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick)

lint: ## clang-tidy, gcc's analyzer, imports, shellcheck
	@scripts/setup build examples lint && scripts/lint

fuzz: ## every parser of foreign bytes: make fuzz [SECONDS_EACH=60]
	@scripts/setup build fuzz && scripts/fuzz $(or $(SECONDS_EACH),60)

docs: ## write the generated pages again: docs/record.md, docs/workflow.md, the schema
	@scripts/setup test && scripts/build test
	@FLEXWATT_UPDATE=1 meson test -C $(CHECKED) --no-rebuild --suite unit >/dev/null && git status --short docs

install: build ## install below /usr/local (DESTDIR is respected)
	@meson install -C $(RELEASE) --no-rebuild --quiet && echo "installed: flexwatt --help"

install-caps: ## let users measure without root: capabilities of the installed flexwatt (FILE=..., docs/energy.md)
	@scripts/setup caps && scripts/install-caps $(FILE)

clean: ## remove everything that was built and made
	@rm -rf build examples/*/functions examples/*/data
