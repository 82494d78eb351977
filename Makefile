# Needs a Python from 3.11 to 3.13, make and a package index; everything else is installed into .venv at the locked versions.
# Written for GNU make 3.81 (the one of macOS) and any POSIX shell.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Choose the interpreter with `make PYTHON=/path/to/python ...`.
PYTHON ?=
ifeq ($(strip $(DATA_DIR)),)
DATA_DIR := data
endif
# Dagster's history. Dagster reads dagster.yaml from there and accepts an absolute path only.
ifeq ($(strip $(DAGSTER_HOME)),)
DAGSTER_HOME := $(CURDIR)/.dagster_home
endif
# Of `make dev`.
PORT ?= 3000
export DATA_DIR DAGSTER_HOME
# With it, the web server of `dagster dev` refuses the workspace that it is given, and hangs instead of saying so.
unexport DAGSTER_MODULE_NAME

# All paths below are relative to the checkout, so that spaces in the path to it do no harm.
BIN := .venv/bin
PEERS := benchmarks/.venv
# Only its resolver's export is used: pip installs, because pip's own settings (index, proxy, certificates) then apply.
UV := uv==0.13.9
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# The environment is made anew when its Python is gone, the checkout was moved or it was not made here.
USABLE := $(shell [ "`cat .venv/.locked 2>/dev/null`" = "$(CURDIR)" ] && $(BIN)/python -c 'import pip' 2>/dev/null && echo yes)
ifneq ($(USABLE),yes)
.PHONY: .venv/.locked
endif

ifneq ($(shell cat $(PEERS)/.locked 2>/dev/null),$(CURDIR))
.PHONY: $(PEERS)/.locked
endif

SAMPLE_DAYS := $(sort $(patsubst data/sample/sales/sales_%.csv,%,$(wildcard data/sample/sales/sales_*.csv)))
SAMPLE_RANGE := $(firstword $(SAMPLE_DAYS))...$(lastword $(SAMPLE_DAYS))
# Everything but the assets that are about the platform itself: those read the whole archive.
SAMPLE_ASSETS := not group:operations
LOG := $(DATA_DIR)/logs/run.log
# Tests of a group share what is costly to start, so they stay in one worker.
WORKERS := -n auto --dist loadgroup
# A small load on a lake takes several times as long as on a file, so CI runs on lakes what says most of the tables.
TESTS := orchestration_project_tests
ON_SQLITE := warehouse/test_ledger.py warehouse/test_ledger_batches.py warehouse/test_marts.py \
    components/test_loading.py reliability/test_repair_keys.py
ON_POSTGRES := warehouse/test_ledger.py warehouse/test_ledger_batches.py
# What `make torture` found out on each kind of warehouse.
RESULTS := .reliability
STARTED := $(shell date -u +%Y-%m-%dT%H:%M:%SZ)

.PHONY: help run test lakes torture cluster browser screenshots dev check bench bench-full bench-cluster home

help: ## Show these targets
	@sed -n 's/^\([a-z-]*\): .*## \(.*\)/  make \1	\2/p' Makefile

run: .venv/.locked home history ## Load the sample, materialize every table, print a summary
	@$(BIN)/python -m orchestration_project load-sample
	@mkdir -p "$(DATA_DIR)/logs"
	@echo "Materializing $(SAMPLE_RANGE); Dagster's log: $(LOG)"
	@$(BIN)/dagster asset materialize -m orchestration_project.definitions --select "$(SAMPLE_ASSETS)" \
	    --partition-range "$(SAMPLE_RANGE)" > "$(LOG)" 2>&1 \
	    || { tail -n 40 "$(LOG)" >&2; echo "The run failed. Its whole log: $(LOG)" >&2; exit 1; }
	@$(BIN)/python -m orchestration_project summary --since "$(STARTED)"

test: .venv/.locked ## Run the tests; choose some with ARGS="-k sensor"
	@$(BIN)/python -m pytest $(WORKERS) $(ARGS)

lakes: .venv/.locked ## Run a part of the tests on lakes, with catalogs in SQLite and in PostgreSQL
	@$(BIN)/python -m pytest $(WORKERS) --warehouse lake-sqlite $(addprefix $(TESTS)/,$(ON_SQLITE)) $(ARGS)
	@$(BIN)/python -m pytest $(WORKERS) --warehouse lake-postgres $(addprefix $(TESTS)/,$(ON_POSTGRES)) $(ARGS)

torture: .venv/.locked ## Run the tests of the promise in their long form on each warehouse; docs/reliability.md
	@rm -rf $(RESULTS) && mkdir $(RESULTS)
	@failed=; for kind in file lake-sqlite lake-postgres; do \
	    echo "On the warehouse: $$kind"; \
	    TORTURE=1 $(BIN)/python -m pytest $(WORKERS) -m promise --warehouse $$kind \
	        --reliability-results=$(RESULTS)/$$kind.json $(ARGS) || failed=yes; \
	done; \
	$(BIN)/python -m orchestration_project_tests.reliability.report docs/reliability.md $(RESULTS)/*.json \
	    && [ -z "$$failed" ]

cluster: .venv/.locked ## Run a cluster on this machine and kill a worker of it; other files with ONLINE_RETAIL=/path
	@$(BIN)/python -m orchestration_project_tests.cluster "$(ONLINE_RETAIL)"

browser: .venv/.locked ## Fetch axe-core with npm; with it and Chromium, the tests in a browser are not skipped
	@$(BIN)/python -m orchestration_project_tests.browser.axe

screenshots: .venv/.locked browser ## Take the pictures of docs/images, with Chromium
	@mkdir -p docs/images
	@CI=true SCREENSHOTS=docs/images $(BIN)/python -m pytest orchestration_project_tests/browser $(ARGS)

dev: .venv/.locked home history ## Start Dagster's UI on http://127.0.0.1:3000; choose another port with PORT=3001
	@$(BIN)/dagster dev --host 127.0.0.1 --port $(PORT)

check: .venv/.locked home ## Lint, format, types, imports, definitions
	@$(BIN)/uv lock --check --offline --quiet || { echo "uv.lock does not fit pyproject.toml: run $(BIN)/uv lock" >&2; exit 1; }
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/dg check defs

bench: .venv/.locked $(PEERS)/.locked ## Measure against a hand-written script and other tools; writes benchmarks/results.md
	@$(BIN)/python -m benchmarks $(ARGS)

bench-full: .venv/.locked $(PEERS)/.locked ## More rounds, and up to 100 million records; takes about two hours
	@$(BIN)/python -m benchmarks --full $(ARGS)

bench-cluster: .venv/.locked ## Measure lakes, shards and several writers; writes benchmarks/results-cluster.md
	@$(BIN)/python -m benchmarks warehouses shards workers writers --results benchmarks/results-cluster.md $(ARGS)

# A link, so that a change of dagster.yaml is in force at once; a file that somebody put there is left alone.
home:
	@mkdir -p "$(DAGSTER_HOME)"
	@[ -e "$(DAGSTER_HOME)/dagster.yaml" ] || ln -sf "$(CURDIR)/dagster.yaml" "$(DAGSTER_HOME)/dagster.yaml"

# Processes that start at the same time on an empty DAGSTER_HOME break its databases; the mark saves a start of Python.
.PHONY: history
history: .venv/.locked home
	@[ -e "$(DAGSTER_HOME)/.history-made" ] || $(BIN)/python -m orchestration_project make-history "$(DAGSTER_HOME)"

# Hashes are checked, and the build backend is locked too: nothing is resolved on the user's machine.
.venv/.locked: pyproject.toml uv.lock
	@$(if $(USABLE),:,$(MAKE_VENV))
	@echo "Installing the locked packages into .venv (the first time takes a minute or two)"
	@$(PIP) install "$(UV)"
	@$(BIN)/uv export --quiet --frozen --all-extras --no-emit-project --format requirements-txt --output-file .venv/requirements.txt
	@$(PIP) install --no-deps --require-hashes --requirement .venv/requirements.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@echo "$(CURDIR)" > $@

# What the platform is measured against, in an environment of its own: its packages and the project's exclude each other.
$(PEERS)/.locked: benchmarks/peers/pyproject.toml benchmarks/peers/uv.lock .venv/.locked
	@echo "Installing the tools to compare with into $(PEERS)"
	@$(BIN)/python -m venv --clear $(PEERS)
	@$(BIN)/uv export --quiet --frozen --project benchmarks/peers --format requirements-txt --output-file $(PEERS)/requirements.txt
	@$(PEERS)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --require-hashes --requirement $(PEERS)/requirements.txt
	@echo "$(CURDIR)" > $@

# The first Python that fits; one without ensurepip cannot make an environment (Debian keeps it in a package of its own).
define MAKE_VENV
seen=; bare=; \
for name in $(if $(PYTHON),"$(PYTHON)",python3.13 python3.12 python3.11 python3 python); do \
    version=`"$$name" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null` || continue; \
    seen="$$seen $$name ($$version)"; \
    case "$$version" in 3.11|3.12|3.13) ;; *) continue ;; esac; \
    "$$name" -c 'import ensurepip, venv' 2>/dev/null || { bare="$$bare $$name ($$version)"; continue; }; \
    echo "Making .venv with $$name ($$version)"; \
    "$$name" -m venv --clear .venv && exit 0; \
    exit 1; \
done; \
if [ -n "$$bare" ]; then \
    echo "Found$$bare, but without ensurepip, which makes virtual environments." >&2; \
    echo "On Debian and Ubuntu: sudo apt install python3-venv. Or name another Python: make PYTHON=/path/to/python3.12" >&2; \
else \
    echo "Python 3.11, 3.12 or 3.13 is needed; found:$${seen:- none}." >&2; \
    echo "Name one that is not on the PATH with: make PYTHON=/path/to/python3.12" >&2; \
fi; \
exit 1
endef
