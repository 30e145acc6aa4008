# SPDX-License-Identifier: Apache-2.0
# Every target makes what it needs from a fresh machine with make, a package index and Python 3.11, 3.12 or 3.13. The tests
# on other versions of Airflow need 3.11 or 3.12; those on a version of Python need that version.

# The path of a Python of version $(1), if there is one that works and can make an environment: a version manager's stand-in may
# be on the PATH and fail, and Debian's may lack venv. What pyenv has need not be on the PATH.
TRY := import ensurepip, sys; assert sys.version_info >= (3, 11); print(sys.executable)
python = $(shell for one in python$(1) "$$(pyenv prefix $(1) 2>/dev/null)/bin/python$(1)"; do "$$one" -c '$(TRY)' 2>/dev/null && break; done)
usable = $(1) -c '$(TRY)' >/dev/null || { echo "$(1) can't be used: it is not Python 3.11 or later, or has no venv." >&2; exit 1; }
NEWEST = $(or $(PYTHON),$(call python,3.13),$(call python,3.12),$(call python,3.11))
# Not every line of Airflow runs on the newest Python.
OLDEST = $(or $(PYTHON),$(call python,3.11),$(call python,3.12),$(call python,3.13))

VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := constraints/airflow-3.3.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Without bytecode, each process compiles the package and the tests again: seven seconds for each worker of pytest.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help packages prepare demo ui test coverage test-full test-fast test-busy test-py test-py3.11 test-py3.12 test-py3.13 another-python \
	test-network test-ui screenshots test-2.11 test-3.0 test-3.1 test-3.2 bench system system-quick soak fuzz audit check format docs build dist-check constraints constraints-2.11 constraints-3.0 constraints-3.1 constraints-3.2 clean
help:  ## list the targets
	@grep -hE '^[a-z0-9. -]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 28

# $(1): folder, $(2): Python, $(3): its version, if only one will do
ANY_OF_THEM := 3.11, 3.12 or 3.13
define environment
	@test -n "$(2)" || { echo "No Python $(or $(3),$(ANY_OF_THEM)) was found that works and has venv (on Debian, the package python3-venv)." \
		"Install one, or name yours: make PYTHON=/path/to/python …" >&2; exit 1; }
	@$(call usable,$(2))
	@echo "Making the environment in $(1), or bringing it up to date (seconds, or a minute or two) …"
	@$(1)/bin/python -m pip --version >/dev/null 2>&1 || { rm -rf $(1) && $(2) -m venv $(1); }
endef

# $(1): environment, $(2): its constraints, $(3): what. uv takes seconds where pip takes a minute. Of pip's settings it knows the
# index alone, so pip does it where uv can't.
define install
	@$(1)/bin/python -m pip install -q -c $(2) uv && \
		UV_DEFAULT_INDEX="$${PIP_INDEX_URL:-$$($(1)/bin/python -m pip config get global.index-url 2>/dev/null)}" \
		$(1)/bin/uv pip install -q --python $(1) -c $(2) $(3) || { \
			echo "uv can't install it here, so pip does (a minute or two) …"; \
			$(1)/bin/python -m pip install -q 'pip>=25.1' && $(1)/bin/python -m pip install -q -c $(2) $(3); \
		}
endef

# The environment is brought up to date when what it is made from changes, and made again if PYTHON=… has another version.
$(VENV)/.runtime: pyproject.toml $(CONSTRAINTS)
	$(call environment,$(VENV),$(NEWEST))
	$(call install,$(VENV),$(CONSTRAINTS),-e '.[redis]')
	@touch $@

# Compiled now, by both cores, or each worker of pytest compiles Airflow.
$(VENV)/.development: private export UV_COMPILE_BYTECODE := 1
$(VENV)/.development: $(VENV)/.runtime
	$(call install,$(VENV),$(CONSTRAINTS),--group check --group build)
	@touch $@

VERSION := -c 'import sys; print(*sys.version_info[:2])'
ifdef PYTHON
ifneq ($(shell $(PYTHON) $(VERSION) 2>/dev/null),$(shell $(BIN)/python $(VERSION) 2>/dev/null))
$(VENV)/.runtime: another-python
endif
endif
another-python:
	@$(call usable,$(PYTHON))
	@rm -rf $(VENV)

demo: $(VENV)/.runtime  ## wait for a trim on the emulator and show what came out; needs no account
	@$(BIN)/python -m tests.system.demo

ui: $(VENV)/.runtime  ## Airflow's web UI with the examples and the emulator, to try; needs no account; Ctrl-C ends it
	@$(BIN)/python -m tests.system.ui

# Some tests need a real Redis.
REDIS := /usr/bin/redis-server
$(REDIS):
	@echo "Installing redis-server …"
	@apt-get install -y -qq redis-server >/dev/null || (apt-get update -qq && apt-get install -y -qq redis-server >/dev/null)

# Two workers more than cores, since live Airflows and many tests mostly wait; the tests of one Airflow stay together, by
# their group.
WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 2)))
TESTS ?=
PYTEST := python -m pytest -q --durations=10 -n $(WORKERS) --dist loadgroup
test: $(VENV)/.development | $(REDIS)  ## run the tests in parallel (or TESTS="tests/…", WORKERS=1)
	@$(BIN)/$(PYTEST) $(TESTS)

# Left out: live Airflows, shells and combinations, which trace little for their time, and generated examples, of which
# test-full has more.
UNTRACED := $(addprefix --ignore=tests/,live docs airflow/test_combinations.py) -m "not hypothesis"
coverage: $(VENV)/.development | $(REDIS)  ## the tests that run in one process, without generated data, and the branches covered
	@$(BIN)/$(PYTEST) --cov $(UNTRACED) $(TESTS)

test-full: $(VENV)/.development | $(REDIS)  ## what `make test` leaves out: all combinations, faults in every mode, more generated data
	@$(BIN)/$(PYTEST) --full -m "full or hypothesis" $(TESTS)

test-fast: $(VENV)/.development  ## the tests that take seconds, for after every change
	@$(BIN)/python -m pytest -q tests/vod tests/transports tests/polling

# Finds tests, or whatever TARGET is, that depend on the machine's speed. All have the same low priority, or the tests would starve.
TARGET ?= test
TIMES ?= 3
test-busy: $(VENV)/.development | $(REDIS)  ## the tests (or TARGET=demo) while four other processes are busy, three times (or TIMES=1)
	@for _ in 1 2 3 4; do nice sh -c 'while :; do :; done' & busy="$$busy $$!"; done; \
	trap "kill $$busy" EXIT; trap 'exit 130' INT TERM; \
	for time in $$(seq $(TIMES)); do \
		echo "make $(TARGET), busy, $$time of $(TIMES):"; nice $(MAKE) --no-print-directory $(TARGET) || exit 1; \
	done

# Each version of Python has an environment of its own.
.venv-py%/.tests: pyproject.toml $(CONSTRAINTS)
	$(call environment,$(@D),$(call python,$*),$*)
	$(call install,$(@D),$(CONSTRAINTS),-e '.[redis]' --group test)
	@touch $@

test-py3.11 test-py3.12 test-py3.13: test-py%: .venv-py%/.tests | $(REDIS)  ## run the tests on that Python
	@.venv-py$*/bin/$(PYTEST) $(TESTS)

test-py:  ## run the tests on each Python there is
	@for version in $(foreach version,3.11 3.12 3.13,$(if $(call python,$(version)),$(version))); do \
		echo "Python $$version:"; $(MAKE) --no-print-directory test-py$$version || exit 1; \
	done

# Other lines of Airflow, each in an environment of its own.
GROUP_2.11 := test
.venv-%/.tests: pyproject.toml constraints/airflow-%.txt
	$(call environment,$(@D),$(OLDEST))
	$(call install,$(@D),constraints/airflow-$*.txt,-e '.[redis]' --group $(or $(GROUP_$*),unit))
	@touch $@
.PRECIOUS: .venv-%/.tests .venv-py%/.tests

# What has to do with Airflow; the rest of tests/live is of Airflow 3.
TESTS_2 := $(addprefix tests/,airflow hooks operators sensors triggers waiting test_package.py test_lines.py live/test_airflow_2.py)
test-2.11: .venv-2.11/.tests | $(REDIS)  ## run the tests on Airflow 2.11
	@.venv-2.11/bin/$(PYTEST) -rs $(TESTS_2)

# What may differ from line to line; the rest only depends on the lowest versions, which the environment of 3.0 has.
TESTS_3 := $(addprefix tests/,test_lines.py waiting sensors/test_start_from_trigger.py operators/test_video_info_operator.py airflow/test_ui_plugin.py)
TESTS_3.0 := $(addprefix tests/,vod transports client ratelimit polling callbacks emulator)
TESTS_3.1 := tests/airflow/test_example_dags.py::test_wait
TESTS_3.2 := $(TESTS_3.1)
test-3.0:  ## on the first release of Airflow 3, and the lowest versions of all else
test-3.1:  ## on Airflow 3.1: imports, waits, examples
test-3.2:  ## the same on Airflow 3.2
test-3.0 test-3.1 test-3.2: test-%: .venv-%/.tests | $(REDIS)
	@.venv-$*/bin/$(PYTEST) -rs $(TESTS_3) $(TESTS_$*)

# A browser, and the characters of what the service calls its player.
CHROMIUM := /usr/bin/chromium
CJK_FONT := /usr/share/fonts/truetype/wqy/wqy-microhei.ttc
BROWSER_PACKAGES := chromium fonts-liberation fonts-wqy-microhei
$(CHROMIUM) $(CJK_FONT) &:
	@echo "Installing Chromium …"
	@apt-get install -y -qq --no-install-recommends $(BROWSER_PACKAGES) >/dev/null \
		|| (apt-get update -qq && apt-get install -y -qq --no-install-recommends $(BROWSER_PACKAGES) >/dev/null)

$(VENV)/.ui: $(VENV)/.development
	$(call install,$(VENV),$(CONSTRAINTS),--group ui)
	@touch $@

test-ui: $(VENV)/.ui | $(CHROMIUM) $(CJK_FONT)  ## test Airflow's web UI in a real browser
	@$(BIN)/python -m pytest -q tests/ui

screenshots: $(VENV)/.ui | $(CHROMIUM) $(CJK_FONT)  ## take the pictures of the documentation again, into docs/images/
	@$(BIN)/python -m pytest -q tests/ui --pictures docs/images

$(VENV)/.bench: $(VENV)/.development
	$(call install,$(VENV),$(CONSTRAINTS),--group bench)
	@touch $@

bench: $(VENV)/.bench | $(REDIS)  ## measure us and our peers, into docs/benchmarks/ (an hour and a quarter)
	@$(BIN)/python tests/benchmarks/run.py

$(VENV)/.fuzz: $(VENV)/.development
	$(call install,$(VENV),$(CONSTRAINTS),--group fuzz)
	@touch $@

# PostgreSQL's server programs are not on Debian's PATH.
POSTGRES := /usr/share/doc/postgresql
$(POSTGRES):
	@echo "Installing postgresql …"
	@apt-get install -y -qq postgresql >/dev/null || (apt-get update -qq && apt-get install -y -qq postgresql >/dev/null)

PROXIES := /usr/sbin/nginx /usr/sbin/haproxy /usr/sbin/squid
$(PROXIES) &:
	@echo "Installing nginx, haproxy and squid …"
	@apt-get install -y -qq --no-install-recommends $(notdir $(PROXIES)) >/dev/null \
		|| (apt-get update -qq && apt-get install -y -qq --no-install-recommends $(notdir $(PROXIES)) >/dev/null)

# Its service is not to be started: the tests start their own, on free ports.
PROMETHEUS := /usr/bin/prometheus
$(PROMETHEUS):
	@echo "Installing prometheus …"
	@RUNLEVEL=1 apt-get install -y -qq --no-install-recommends prometheus >/dev/null \
		|| (apt-get update -qq && RUNLEVEL=1 apt-get install -y -qq --no-install-recommends prometheus >/dev/null)

test-network: $(VENV)/.development | $(PROXIES) $(PROMETHEUS)  ## through nginx, HAProxy and Squid, and metrics in Prometheus (a minute; three with one worker)
	@$(BIN)/$(PYTEST) tests/network

$(VENV)/.system: $(VENV)/.development
	$(call install,$(VENV),$(CONSTRAINTS),--group system)
	@touch $@

system: $(VENV)/.system | $(REDIS) $(POSTGRES) $(PROXIES) $(PROMETHEUS)  ## a distributed Airflow on this machine, its parts killed, and test-network
	@$(BIN)/python -m pytest -q -s --tb=short tests/system tests/network
	@$(BIN)/python -m pytest -q -s --tb=short tests/system/test_metrics.py --opentelemetry

system-quick: $(VENV)/.system | $(REDIS) $(POSTGRES)  ## the same with fewer kills and trims (nine minutes)
	@$(BIN)/python -m pytest -q -s --tb=short tests/system --quick

$(VENV)/.soak: $(VENV)/.system $(VENV)/.bench
	@touch $@

MINUTES ?= 30
soak: $(VENV)/.soak | $(REDIS) $(POSTGRES)  ## 500 trims at a time on it, with faults and kills, plotted (half an hour, or MINUTES=…)
	@$(BIN)/python -m tests.system.soak --minutes $(MINUTES)

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
	$(call install,$(VENV),$(CONSTRAINTS),--group docs)
	@touch $@

EVERYTHING := $(addprefix --group ,check build docs ui system)
packages: | $(REDIS) $(DOT) $(CHROMIUM) $(CJK_FONT) $(POSTGRES) $(PROXIES) $(PROMETHEUS)  ## install the Debian packages that the targets need

prepare: packages $(VENV)/.runtime  ## install what the targets need on the newest Python
	$(call install,$(VENV),$(CONSTRAINTS),$(EVERYTHING))
	@touch $(addprefix $(VENV)/.,development docs ui system)

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
constraints: $(VENV)/.development  ## pin what is installed; for other versions of Airflow: constraints-2.11, constraints-3.0 …
	$(call pin,$(VENV),$(CONSTRAINTS))
constraints-2.11 constraints-3.0 constraints-3.1 constraints-3.2: constraints-%: .venv-%/.tests
	$(call pin,.venv-$*,constraints/airflow-$*.txt)

clean:  ## remove environments and what the targets have made
	@rm -rf .venv* .demo .ui build dist docs/_build .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis
