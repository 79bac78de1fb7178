# Two commands: `make demo` and `make test`. Everything lives in .venv; versions are pinned in constraints.txt.
PYTHON ?= python3
VENV := .venv
# Labelled text to measure on, where there is any.
BENCH ?= ../shared/bench
BIN := $(VENV)/bin
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-all check format model lock clean

demo: $(VENV)/.core
	@$(BIN)/loanlint scan --format human data/examples/page.html || test $$? -eq 1

test: $(VENV)/.dev ## everything that pip can install for
	$(BIN)/python -m pytest -m "not system"

test-all: $(VENV)/.dev ## also what needs a PostgreSQL server and a browser
	$(BIN)/python -m pytest

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/loanlint data validate
	$(BIN)/loanlint data card --check
	$(BIN)/loanlint model verify
	$(BIN)/loanlint gate $(if $(wildcard $(BENCH)),--bench $(BENCH))

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

model: $(VENV)/.dev ## train the shipped model from data/
	$(BIN)/loanlint train --out models/default

lock: ## write the versions of .venv into constraints.txt
	$(BIN)/pip freeze --exclude-editable --exclude loanlint | grep -v '^loanlint' > constraints.txt

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("loanlint needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet -e .
	touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet -e '.[train,report,peers,service,dev]'
	touch $@ $(VENV)/.core

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache
