# Everything runs in .venv, made on first use. PYTHON chooses the interpreter (3.11 or later).
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Tests that start servers and the tests that kill them are one file a worker, in the order of tests/conftest.py; three
# workers fill two processors, as many tests wait for another process.
WORKERS ?= 3
# The tests start some 600 commands: each module is compiled once, not by each of them.
unexport PYTHONDONTWRITEBYTECODE

# How far the campaigns go: a seed that replays, and a bound.
SEED ?= 2026
STEPS ?= 0
SECONDS ?= 0

.PHONY: help demo up test check read sim faults mutations bench clean

help:
	@echo "make demo    a real PostgreSQL, an afternoon in seconds, and the proof of what happened"
	@echo "make up      the same clinic, kept running, with the psql line to try"
	@echo "make check   style, types and import rules"
	@echo "make test    check, then every test"
	@echo "make sim     the ledger on a disk that fails, lies and rots: SEED=n STEPS=n, or SECONDS=n"
	@echo "make faults  a real process whose system calls fail or kill it: SEED=n, and SECONDS=n or three rounds of all"
	@echo "make mutations    planted defects, each caught by its test"
	@echo "make bench   the numbers in docs/PERFORMANCE.md, measured here"

demo: .venv/.demo
	$(BIN)/affidavit demo

up: .venv/.demo
	$(BIN)/affidavit demo --keep

check: .venv/.dev
	$(BIN)/ruff check src tests bench
	$(BIN)/ruff format --check src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# Every worker reads every test: compiled once before them, on the processor that the checks leave.
read: .venv/.dev
	@$(BIN)/pytest -qq --collect-only >/dev/null || true

test: .venv/.dev
	$(MAKE) -j 2 check read
	$(BIN)/pytest -rs -n $(WORKERS) --dist loadfile --no-loadscope-reorder

sim: .venv/.dev
	PYTHONPATH=tests $(BIN)/python tests/simulation/campaign.py --seed $(SEED) --steps $(STEPS) --seconds $(SECONDS)

faults: .venv/.dev
	PYTHONPATH=tests $(BIN)/python tests/faults/injection.py --seed $(SEED) --seconds $(SECONDS)
	PYTHONPATH=tests $(BIN)/python tests/faults/maintenance.py --seed $(SEED) --seconds $(SECONDS)

mutations: .venv/.dev
	PYTHONPATH=tests $(BIN)/python tests/mutations/run.py

bench: .venv/.dev
	$(BIN)/python bench/ledger.py
	$(BIN)/python bench/ledger.py --memory
	$(BIN)/python bench/longlog.py --fold
	$(BIN)/python bench/places.py
	$(BIN)/python bench/stateproof.py
	$(BIN)/python bench/gateway.py
	$(BIN)/python bench/login.py
	$(BIN)/python bench/search.py
	$(BIN)/python bench/verify.py

clean:
	rm -rf .venv build dist src/*.egg-info .mypy_cache .ruff_cache .import_linter_cache .hypothesis

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Affidavit needs Python 3.11 or later; say: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python's venv module is missing; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.demo: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) install -c constraints.txt -e '.[demo]'
	@touch $@

.venv/.dev: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@ .venv/.demo
