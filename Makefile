# SPDX-License-Identifier: Apache-2.0
# Every target makes what it needs from a fresh machine with Python 3.11, make and a package index.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := constraints/airflow-3.3.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo ui test test-ui screenshots test-2.11 test-3.0 test-3.1 test-3.2 bench system system-quick soak fuzz audit check format docs build dist-check constraints constraints-2.11 constraints-3.0 constraints-3.1 constraints-3.2 clean
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

ui: $(VENV)/.runtime  ## Airflow's web UI with the examples and the emulator, to try; needs no account; Ctrl-C ends it
	@$(BIN)/python tests/system/ui.py

# One test needs a real Redis.
REDIS := /usr/bin/redis-server
$(REDIS):
	@echo "Installing redis-server …"
	@apt-get install -y -qq redis-server >/dev/null || (apt-get update -qq && apt-get install -y -qq redis-server >/dev/null)

# Those of one live Airflow stay together, by their group.
IN_PARALLEL := -n 2 --dist loadgroup
test: $(VENV)/.development | $(REDIS)  ## run the tests, with coverage
	@$(BIN)/python -m coverage erase
	@$(BIN)/python -m coverage run -m pytest -q $(IN_PARALLEL)
	@$(BIN)/python -m coverage combine -q
	@$(BIN)/python -m coverage report

# Other lines of Airflow, each in an environment of its own.
GROUP_2.11 := test
GROUP_3.0 := unit
GROUP_3.1 := unit
GROUP_3.2 := unit
.venv-%/.tests: pyproject.toml constraints/airflow-%.txt
	@echo "Making the environment in $(@D) (a minute or two, once) …"
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install -q 'pip>=25.1'
	@$(@D)/bin/python -m pip install -q -c constraints/airflow-$*.txt -e '.[redis]' --group $(GROUP_$*)
	@touch $@
.PRECIOUS: .venv-%/.tests

# Left out: tests/fuzz and tests/test_layers.py, which have nothing of Airflow; the rest of tests/live is of Airflow 3.
TESTS_2 := $(addprefix tests/,vod transports polling emulator airflow test_package.py test_lines.py live/test_airflow_2.py)
test-2.11: .venv-2.11/.tests | $(REDIS)  ## run the tests on Airflow 2.11
	@.venv-2.11/bin/python -m pytest -q -rs $(IN_PARALLEL) $(TESTS_2)

# What may differ from line to line; the rest only depends on the lowest versions, which the environment of 3.0 has.
TESTS_3 := $(addprefix tests/,test_lines.py airflow/test_deferral.py airflow/test_operator.py)
TESTS_3.0 := $(addprefix tests/,vod transports polling emulator)
TESTS_3.1 := tests/airflow/test_example_dags.py::test_wait
TESTS_3.2 := $(TESTS_3.1)
test-3.0:  ## on the first release of Airflow 3, and the lowest versions of all else
test-3.1:  ## on Airflow 3.1: imports, waits, examples
test-3.2:  ## the same on Airflow 3.2
test-3.0 test-3.1 test-3.2: test-%: .venv-%/.tests | $(REDIS)
	@.venv-$*/bin/python -m pytest -q -rs $(IN_PARALLEL) $(TESTS_3) $(TESTS_$*)

# A browser, and the characters of what the service calls its player.
CHROMIUM := /usr/bin/chromium
CJK_FONT := /usr/share/fonts/truetype/wqy/wqy-microhei.ttc
BROWSER_PACKAGES := chromium fonts-liberation fonts-wqy-microhei
$(CHROMIUM) $(CJK_FONT) &:
	@echo "Installing Chromium …"
	@apt-get install -y -qq --no-install-recommends $(BROWSER_PACKAGES) >/dev/null \
		|| (apt-get update -qq && apt-get install -y -qq --no-install-recommends $(BROWSER_PACKAGES) >/dev/null)

$(VENV)/.ui: $(VENV)/.development
	@$(BIN)/python -m pip install -q -c $(CONSTRAINTS) --group ui
	@touch $@

test-ui: $(VENV)/.ui | $(CHROMIUM) $(CJK_FONT)  ## test Airflow's web UI in a real browser
	@$(BIN)/python -m pytest -q tests/ui

screenshots: $(VENV)/.ui | $(CHROMIUM) $(CJK_FONT)  ## take the pictures of the documentation anew, into docs/images/
	@$(BIN)/python -m pytest -q tests/ui --pictures docs/images

$(VENV)/.bench: $(VENV)/.development
	@$(BIN)/python -m pip install -q -c $(CONSTRAINTS) --group bench
	@touch $@

bench: $(VENV)/.bench | $(REDIS)  ## measure us beside our peers, into docs/benchmarks/ (three quarters of an hour)
	@$(BIN)/python tests/benchmarks/run.py

$(VENV)/.fuzz: $(VENV)/.development
	@$(BIN)/python -m pip install -q -c $(CONSTRAINTS) --group fuzz
	@touch $@

# PostgreSQL's server programs are not on Debian's PATH.
POSTGRES := /usr/share/doc/postgresql
$(POSTGRES):
	@echo "Installing postgresql …"
	@apt-get install -y -qq postgresql >/dev/null || (apt-get update -qq && apt-get install -y -qq postgresql >/dev/null)

$(VENV)/.system: $(VENV)/.development
	@$(BIN)/python -m pip install -q -c $(CONSTRAINTS) --group system
	@touch $@

system: $(VENV)/.system | $(REDIS) $(POSTGRES)  ## a distributed Airflow on this machine, its parts killed (twenty minutes)
	@$(BIN)/python -m pytest -q -s --tb=short tests/system

system-quick: $(VENV)/.system | $(REDIS) $(POSTGRES)  ## the same with fewer kills and trims (eight minutes)
	@$(BIN)/python -m pytest -q -s --tb=short tests/system --quick

$(VENV)/.soak: $(VENV)/.system $(VENV)/.bench
	@touch $@

MINUTES ?= 30
soak: $(VENV)/.soak | $(REDIS) $(POSTGRES)  ## 500 trims at a time on it, with faults and kills, plotted (half an hour, or MINUTES=…)
	@PYTHONPATH=tests/support $(BIN)/python tests/system/soak.py --minutes $(MINUTES)

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

# Draws the diagrams.
DOT := /usr/bin/dot
$(DOT):
	@echo "Installing graphviz …"
	@apt-get install -y -qq graphviz >/dev/null || (apt-get update -qq && apt-get install -y -qq graphviz >/dev/null)

$(VENV)/.docs: $(VENV)/.runtime
	@$(BIN)/python -m pip install -q 'pip>=25.1'
	@$(BIN)/python -m pip install -q -c $(CONSTRAINTS) --group docs
	@touch $@

docs: $(VENV)/.docs | $(DOT)  ## build the documentation into docs/_build/html; a warning is an error
	@rm -rf docs/_build
	@$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

build: $(VENV)/.development  ## build sdist and wheel into dist/
	@rm -rf dist
	@$(BIN)/python -m build

dist-check: build  ## build, and check what would be uploaded
	@$(BIN)/python -m twine check --strict dist/*
	@$(BIN)/check-wheel-contents dist/*.whl

# $(1): environment, $(2): file
define pin
	@{ sed -n 1p $(2); $(1)/bin/python -m pip freeze --exclude-editable | grep -v ' @ '; } > $(2).new
	@mv $(2).new $(2)
endef
constraints: $(VENV)/.development  ## pin what is installed; for another line: constraints-2.11, constraints-3.0 …
	$(call pin,$(VENV),$(CONSTRAINTS))
constraints-2.11 constraints-3.0 constraints-3.1 constraints-3.2: constraints-%: .venv-%/.tests
	$(call pin,.venv-$*,constraints/airflow-$*.txt)

clean:  ## remove environments and what the targets have made
	@rm -rf .venv* .demo .ui build dist docs/_build .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis
