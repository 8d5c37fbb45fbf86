# The developer's menu. Each target makes what it needs, so the first command on a fresh machine may be any of them.
# Needed beforehand: Python 3.11 or newer with its venv module, and make. Nothing is installed outside .venv.

SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON ?=
PY     := $(BIN)/python
STAMP  := $(VENV)/.installed
LOCK   := requirements/dev.lock
PEERS  := $(VENV)/.peers

# Arguments for one run: `make test ARGS="tests/unit/expr -x"`, `make bench ARGS=...`.
ARGS ?=

# The port of the stand-in services of `make dev`.
STANDIN_PORT ?= 8790

.PHONY: help demo dev test check pages format format-check lint types imports spelling dependencies docs golden bench \
        coverage audit dead-code lock install clean

help:  ## This list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z][a-z-]*:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- to see it ------------------------------------------------------------------------------------------------------

demo: $(STAMP)  ## Run the main job once: signed webhooks in, finished runs out; exit 0 when all end as expected
	$(PY) -m tests.demo $(ARGS)

dev: $(STAMP)  ## Run everything in this terminal, with stand-ins for the services that the pipelines call; Ctrl-C ends it
	$(PY) -m tests.standin --port $(STANDIN_PORT) -- $(BIN)/flowlang dev $(ARGS)

# ---- to change it ---------------------------------------------------------------------------------------------------

test: check-code tests  ## All checks and all tests; CI runs this and nothing else

.PHONY: tests
tests: $(STAMP)  ## The tests alone; ARGS="tests/unit/expr -x" for some of them
	$(PY) -m pytest -n auto $(ARGS)

check: check-code docs  ## Everything that needs no run: format, lint, types, layers, …, and the documents

.PHONY: check-code
check-code: format-check lint types imports spelling dependencies

format: $(STAMP)  ## Rewrite the code in the one format, and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

format-check: $(STAMP)
	$(BIN)/ruff format --check .

lint: $(STAMP)  ## ruff, all rules
	$(BIN)/ruff check .

types: $(STAMP)  ## mypy, strict
	$(BIN)/mypy

imports: $(STAMP)  ## The layers: who may import whom
	$(BIN)/lint-imports

spelling: $(STAMP)  ## codespell on code and documents
	$(BIN)/codespell

dependencies: $(STAMP)  ## Imports without a declared dependency, and dependencies without an import
	$(BIN)/deptry .

docs: $(STAMP)  ## Check the documents: links, headings, and what they quote from the code
	$(PY) -m pytest -q -n0 tests/docs

pages: $(STAMP)  ## Write the reference pages that are made from the code
	$(PY) -m flowlang.cli.reference_pages

golden: $(STAMP)  ## Rewrite the expected diagnostics and pictures; read the diff before you commit it
	$(PY) -m pytest -q -n0 --update-golden tests/diagnostics tests/graphs $(ARGS)

bench: $(PEERS)  ## All benchmarks, one after another; figures, no verdict
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(PY) "$$file" $(ARGS) || exit 1; done

coverage: $(STAMP)  ## Tests with branch coverage, and the lines that no test reaches
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n0 $(ARGS)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

audit: $(STAMP)  ## Known advisories of everything in the lock; one that cannot be looked up fails as well
	$(BIN)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off --requirement $(LOCK)

dead-code: $(STAMP)  ## vulture's report: code that nothing in the project names
	-$(BIN)/vulture

# ---- set-up ---------------------------------------------------------------------------------------------------------

install: $(STAMP)  ## Make .venv from the lock; all other targets do it by themselves

# The lock names every package with the hashes of its files, for all platforms and Pythons that we support, so plain
# pip gives everyone the same tree. The project itself comes last, without dependencies, and with the locked build
# backend in place of one that pip would fetch unlocked. The stamp makes the second call instant.
$(STAMP): $(LOCK) pyproject.toml
	@python=; \
	for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11 python; do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	    python=$$candidate; break; \
	  fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "FlowLang needs Python 3.11 or newer, and none was found as python3, python3.13, python3.12 or python3.11." >&2; \
	  echo "Install one, or say where it is: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
	  exit 1; \
	fi; \
	if ! "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
	  echo "$$python has no venv module. On Debian and Ubuntu: apt install python3-venv" >&2; \
	  exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$python" --version) (once; about a minute)"; \
	"$$python" -m venv $(VENV)
	@$(PY) -m pip install -qq --disable-pip-version-check --require-hashes -r $(LOCK)
	@$(PY) -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# What benchmarks compare with.
$(PEERS): $(STAMP) requirements/bench.lock
	@$(PY) -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/bench.lock
	@touch $@

lock: $(STAMP)  ## Write the lock anew from pyproject.toml; ARGS=--upgrade takes newer versions
	@$(PY) -m pip install -qq --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --extra server --extra dev --extra lsp --group dev --no-emit-package flowlang-pipelines \
	  --custom-compile-command 'make lock' --output-file $(LOCK) $(ARGS) pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --constraint $(LOCK) \
	  --group bench --no-emit-package flowlang-pipelines \
	  --custom-compile-command 'make lock' --output-file requirements/bench.lock $(ARGS) pyproject.toml

clean:  ## Remove what can be made again: the virtual environment, caches, local data
	rm -rf $(VENV) .flowlang .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
