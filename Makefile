# SPDX-License-Identifier: Apache-2.0
# Every target makes what it needs from a fresh machine with Python 3.11, make and a package index.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := constraints/airflow-3.3.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test bench fuzz audit check format build constraints clean
help:  ## list the targets
	@grep -hE '^[a-z0-9.-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# The environment is made anew when what it is made from changes.
$(VENV)/.runtime: pyproject.toml $(CONSTRAINTS)
	@echo "Making the environment in $(VENV) (a minute or two, once) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q -c $(CONSTRAINTS) -e '.[redis]'
	@touch $@

$(VENV)/.development: $(VENV)/.runtime
	@$(BIN)/python -m pip install -q 'pip>=25.1'
	@$(BIN)/python -m pip install -q -c $(CONSTRAINTS) --group check --group build
	@touch $@

demo: $(VENV)/.runtime  ## wait for a trim on the emulator and show what came out; needs no account
	@$(BIN)/python tests/system/demo.py

# One test needs a real Redis.
REDIS := /usr/bin/redis-server
$(REDIS):
	@echo "Installing redis-server …"
	@apt-get install -y -qq redis-server >/dev/null || (apt-get update -qq && apt-get install -y -qq redis-server >/dev/null)

test: $(VENV)/.development | $(REDIS)  ## run the tests, with coverage
	@$(BIN)/python -m coverage erase
	@$(BIN)/python -m coverage run -m pytest -q
	@$(BIN)/python -m coverage combine -q
	@$(BIN)/python -m coverage report

$(VENV)/.bench: $(VENV)/.development
	@$(BIN)/python -m pip install -q -c $(CONSTRAINTS) --group bench
	@touch $@

bench: $(VENV)/.bench | $(REDIS)  ## measure us beside our peers, into docs/benchmarks/ (three quarters of an hour)
	@$(BIN)/python tests/benchmarks/run.py

$(VENV)/.fuzz: $(VENV)/.development
	@$(BIN)/python -m pip install -q -c $(CONSTRAINTS) --group fuzz
	@touch $@

SECONDS ?= 600
fuzz: $(VENV)/.fuzz  ## fuzz whatever reads what comes from outside (ten minutes, or SECONDS=…)
	@$(BIN)/python tests/fuzz/fuzz.py --seconds $(SECONDS)

check: $(VENV)/.development  ## linters and type checks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

audit: $(VENV)/.development  ## whether the pinned dependencies fit together, and which have newer releases
	@$(BIN)/python -m pip check
	@$(BIN)/python -m pip list --outdated

format: $(VENV)/.development  ## format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

build: $(VENV)/.development  ## build sdist and wheel into dist/
	@$(BIN)/python -m build

constraints: $(VENV)/.development  ## pin what is installed
	@{ sed -n 1p $(CONSTRAINTS); $(BIN)/python -m pip freeze --exclude-editable | grep -v ' @ '; } > $(CONSTRAINTS).new
	@mv $(CONSTRAINTS).new $(CONSTRAINTS)

clean:  ## remove environments and what the targets have made
	@rm -rf $(VENV) .demo build dist .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis
