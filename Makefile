# make demo   install, run the demo; it says what it reached, where its report is and what next
# make test   install, run all tests but the slow ones; make test-slow: those; make test-faults:
#             processes, servers, nodes and disks struck in mid-run
# make docs   the docs site, into build/site
# make lint   formatter, linter, types, import rules, known vulnerabilities
SHELL := bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup demo test test-slow test-faults docs cli-reference lint audit clean

setup: $(STAMP)

$(STAMP): pyproject.toml infra/install.sh aura_core/models/pinned.py
	@infra/install.sh $(PYTHON) $(VENV)
	@touch $@

demo: setup
	@$(BIN)/aura run --recipe demo

test: setup
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not faults"

# Whole runs by deployments, on a cluster, interrupted. AURA_SMOKE_ROOT: a finished smoke run.
test-slow: setup
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

test-faults: setup
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m faults tests/faults

# Any warning fails it, a dead link or anchor among them. The variable hides an advertisement.
docs: setup
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --config-file infra/mkdocs.yml
	@echo "docs: build/site/index.html"

# docs/cli.md, after a command or an option has changed.
cli-reference: setup
	@$(BIN)/python -m infra.cli_reference

lint: audit
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# Known vulnerabilities of what is installed; says so where no advisory database is in reach.
audit: setup
	@$(BIN)/python infra/audit.py

# The artifacts below runs/ stay: they may be hours of work.
clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
