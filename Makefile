# make demo   install, run the demo; it says what it reached, where its report is and what next
# make test   install the tools as well, run all tests but the slow ones; make test-slow: those;
#             make test-faults: processes, servers, nodes and disks struck in mid-run
# make docs   the docs site, into build/site
# make lint   formatter, linter, types, import rules, known vulnerabilities
# make lock   what pyproject.toml asks for, into infra/lock; make upgrade: the newest of it
SHELL := bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := infra/lock
RUNTIME := $(VENV)/.runtime
TOOLS := $(VENV)/.dev
INSTALLER := infra/install.sh pyproject.toml $(LOCK)/build.txt aura_core/models/pinned.py

.PHONY: setup demo test test-slow test-faults docs cli-reference lint audit lock upgrade clean

setup: $(RUNTIME)

$(RUNTIME): $(INSTALLER) $(LOCK)/runtime.txt
	@infra/install.sh $(PYTHON) $(VENV) runtime
	@touch $@

# Runtime and tools in one lock, in the same environment.
$(TOOLS): $(INSTALLER) $(LOCK)/dev.txt
	@infra/install.sh $(PYTHON) $(VENV) dev
	@touch $(RUNTIME) $@

demo: setup
	@$(BIN)/aura run --recipe demo

test: $(TOOLS)
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not faults"

# Whole runs by deployments, on a cluster, interrupted. AURA_SMOKE_ROOT: a finished smoke run.
test-slow: $(TOOLS)
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

test-faults: $(TOOLS)
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m faults tests/faults

# Any warning fails it, a dead link or anchor among them. The variable hides an advertisement.
docs: $(TOOLS)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --config-file infra/mkdocs.yml
	@echo "docs: build/site/index.html"

# docs/cli.md, after a command or an option has changed.
cli-reference: $(TOOLS)
	@$(BIN)/python -m infra.cli_reference

lint: audit
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# Known vulnerabilities of what is installed; says so where no advisory database is in reach.
audit: $(TOOLS)
	@$(BIN)/python infra/audit.py

# A version stays while pyproject.toml allows it. Runtime is locked within dev's versions: what is
# tested is what runs.
COMPILE = $(BIN)/uv pip compile --quiet --config-file $(LOCK)/uv.toml $(LOCK_OPTIONS)
lock: setup
	@$(COMPILE) pyproject.toml --extra dev --output-file $(LOCK)/dev.txt >/dev/null
	@$(COMPILE) pyproject.toml --constraint $(LOCK)/dev.txt --output-file $(LOCK)/runtime.txt >/dev/null
	@$(COMPILE) --group build --constraint $(LOCK)/dev.txt --output-file $(LOCK)/build.txt >/dev/null
	@echo "lock: $(LOCK) is up to date; make lint test before you commit it"

upgrade: LOCK_OPTIONS := --upgrade
upgrade: lock

# The artifacts below runs/ stay: they may be hours of work.
clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
