# Every target creates the environment it needs; nothing has to be installed by hand but Python 3.11 or 3.12.
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do \
	$$p -c 'import sys; sys.exit(not (3,11) <= sys.version_info[:2] < (3,13))' 2>/dev/null && command -v $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STATE ?= .seamline

.PHONY: help install demo test test-all test-containers explore check format golden docs lock clean

help:            ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 was not found; give it: make PYTHON=/path/to/python3.11"; exit 2; }
	@echo "Creating $(VENV) with the pinned packages of requirements.lock (a minute or two, once)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

install: $(VENV)/.installed   ## create .venv from the lock file

demo: install    ## draw a small data set, run the whole pipeline on it, score it against the hidden answers
	@$(BIN)/seamline run pipeline/recipes/demo.toml --state $(STATE)

test: install    ## the tests (minutes, no network, no GPU)
	@$(BIN)/python -m pytest -n 2 --dist worksteal

test-all: install  ## the slower suites too
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m ''

test-containers: install  ## images, the Docker launcher and parity on a real Docker Engine (root, docker.io, debootstrap)
	@$(BIN)/python -m pytest -n 0 -m '' tests/containers

explore: install   ## property tests with new random examples, ten times as many (a quarter of an hour)
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m hypothesis --hypothesis-profile explore

check: install   ## format, lint, types, tests, and generated files up to date
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy
	@$(MAKE) --no-print-directory test

format: install  ## rewrite the sources in the house format
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

golden: install  ## rewrite the golden files; review the diff
	@$(BIN)/python -m pytest tests/dag --update-golden

docs: install    ## rewrite the generated pages
	@$(BIN)/python -m pipeline.reference_pages

LOCK = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet
lock:            ## resolve the dependencies anew: requirements.lock, and from it what the images install
	@$(BIN)/python -m pip install --quiet uv
	@$(LOCK) --extra dev pyproject.toml -o requirements.lock
	@$(LOCK) --no-annotate --constraint requirements.lock --extra transfer pyproject.toml -o docker/requirements.lock
	@$(LOCK) --no-annotate --constraint requirements.lock --extra gpu --extra transfer pyproject.toml -o docker/requirements-gpu.lock

clean:           ## remove the environment and all runs
	rm -rf $(VENV) $(STATE) build
