# Two commands: `make results` (environment, engine, weights, benchmark, RESULTS.md) and `make test`.
# Each part is made once: .venv from the hash-pinned lock, llama.cpp from its pinned source (cached per CPU).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
.PHONY: help env engine weights results test test-quick lint docs clean

PYTHON ?= python3
RUN := PATH="$(CURDIR)/.venv/bin:$$PATH"
LOCK := envs/requirements.lock
# Two workers fit two cores; each Snakemake run below them has up to eight processes.
TEST_JOBS ?= 2
# Python may write .pyc files: these commands start dozens of processes, and each would compile every module again.
export PYTHONDONTWRITEBYTECODE :=
# Without this check, a missing lock would give a stamp that never changes.
$(if $(wildcard $(LOCK)),,$(error $(LOCK): no such file))
ENV_STAMP := .venv/.lock-$(shell sha256sum $(LOCK) | cut -c1-12)
# Python then finds Snakemake's plugin for the display.
PLUGINS := .venv/.plugins

help:
	@echo "make results   make what is missing, run the benchmark, write docs/reference/benchmarks/RESULTS.md"
	echo "make test      the linters and the whole test suite, in the same environment"
	echo "make test-quick    the fast tests only, for the edit loop"
	echo "make lint      the linters alone"
	echo "make docs      docs/reference as a site, in .cache/site"
	echo "make env | engine | weights    one step: the environment, llama.cpp, the small models"
	echo "make clean     remove .venv"
	echo "With .venv activated, python -m scripts lists all commands."

env: $(PLUGINS)

# An activated .venv puts its own python first in PATH; the rule must not use it, since it deletes .venv.
$(ENV_STAMP):
	@export PATH="$${PATH//"$(CURDIR)/.venv/bin:"/}"
	command -v $(PYTHON) >/dev/null || { echo "error: no $(PYTHON): install Python 3.11 or newer" >&2; exit 1; }
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed, found $$($(PYTHON) --version); run make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -c 'import venv, ensurepip' || { echo "error: Python's venv module is missing: apt install python3-venv" >&2; exit 1; }
	echo "making .venv from $(LOCK) (about a minute)"
	rm -rf .venv
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r $(LOCK)
	touch $(ENV_STAMP)

# A file of paths, which Python's `site` module reads. It copies nothing, so the plugin is always this checkout's.
$(PLUGINS): $(ENV_STAMP)
	@folder=$$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
	echo "$(CURDIR)/plugins" > "$$folder/epyc_bench_plugins.pth"
	touch $@

# No stamp: in half a second, the command itself checks whether a build is there, unchanged, made for this CPU
# and from the locked source.
engine: $(PLUGINS)
	@$(RUN) python -m scripts.build_engine

weights: engine
	@$(RUN) snakemake -j1 --quiet rules -- weights

results: engine
	@$(RUN) snakemake -j8 results
	echo "results: docs/reference/benchmarks/RESULTS.md"

lint: $(PLUGINS)
	@$(RUN)
	export PATH
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	snakefmt --check Snakefile rules
	snakemake --lint
	python -m scripts.validate --strict
	python -m scripts.prompts lint

# Two calls of pytest; the second one runs even if the first one fails. Tests that measure nothing share the
# cores with each other and with the linters. Tests marked `serial` then have the machine to themselves.
test: weights
	@make --no-print-directory lint & lint=$$!
	$(RUN) python -m pytest -n $(TEST_JOBS) --dist worksteal -m "not serial" && failed=0 || failed=1
	wait $$lint || failed=1
	$(RUN) python -m pytest -m serial || failed=1
	exit $$failed

# For the edit loop: no Snakemake, engines, fuzzing or slow tests, and nothing that is timed.
test-quick: $(PLUGINS)
	@$(RUN) python -m pytest -n $(TEST_JOBS) --dist worksteal -m "not serial and not slow" --ignore tests/workflow --ignore tests/faults

# A dead link or a page that no other one lists is an error.
docs: $(ENV_STAMP)
	@$(RUN) sphinx-build -q -W --keep-going -n -b html -d .cache/doctrees docs/reference .cache/site
	echo "docs: .cache/site/index.html"

clean:
	rm -rf .venv
