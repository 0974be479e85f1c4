# Everything there is to do here, a line each: `make help`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PYTEST := $(VENV)/bin/pytest
EXAMPLES ?= 3000
UV_VERSION := 0.13.9
# Where Python may not keep what it compiled, every process of the tests compiles all that it imports: a third of the time.
unexport PYTHONDONTWRITEBYTECODE

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-15s %s\n", $$1, $$2}'

$(VENV)/ready: requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet uv==$(UV_VERSION)
	$(VENV)/bin/uv pip sync --quiet --python $(RUN) requirements-dev.lock
	$(VENV)/bin/uv pip install --quiet --python $(RUN) --no-deps --editable .
	@touch $@

check: $(VENV)/ready ## Lint, types, unit, property and chart tests (2 minutes)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(PYTEST) -n 2 --dist worksteal tests/unit tests/chart

test: check ## Check, then everything that needs a real server and a real cluster (half an hour warm)
	$(PYTEST) -n 3 tests/server -m "not slow"
	$(PYTEST) -n 3 --dist loadfile --no-loadscope-reorder tests/cluster -m "not slow"

test-all: check explore ## Everything there is, and a thousand runs of `make soak` (hours)
	$(PYTEST) -n 3 tests/server
	$(PYTEST) -n 3 --dist loadfile --no-loadscope-reorder tests/cluster
	$(MAKE) soak

explore: $(VENV)/ready ## Look for what breaks the reconciler and no test knows yet (EXAMPLES=3000, 3 minutes)
	V6_NODE_EXPLORE=$(EXAMPLES) $(PYTEST) tests/unit/test_reconciler_model.py

bench: $(VENV)/ready ## How fast it is, against the limit of the same run (docs/benchmarks.md; an hour)
	$(RUN) -m benchmarks

soak: $(VENV)/ready ## A thousand runs while things go wrong at random; goes on where it was (RUNS=1000 SEED=…)
	$(RUN) -m tests.soak --runs $(or $(RUNS),1000) $(if $(SEED),--seed $(SEED))

demo: $(VENV)/ready ## A federated average over three nodes on a real cluster, shown as it happens
	$(RUN) -m demo up

demo-down: $(VENV)/ready ## Remove what `make demo` left running (the cluster stays)
	$(RUN) -m demo down

poc: $(VENV)/ready ## The steps of the proof of concept's README, with this node (docs/poc.md)
	$(RUN) -m demo poc

poc-down: $(VENV)/ready ## Remove what `make poc` left running (the cluster stays)
	$(RUN) -m demo poc-down

cluster-up: $(VENV)/ready ## Boot the local Kubernetes (about 15 minutes the first time, half a minute after; NODES=2: two machines)
	$(RUN) -m ci.cluster up --nodes $(or $(NODES),1)

cluster-down: $(VENV)/ready ## Stop it, and leave nothing behind
	$(RUN) -m ci.cluster down

cluster-status: $(VENV)/ready ## Say what runs
	$(RUN) -m ci.cluster status

images: $(VENV)/ready ## Build the product's image and the tests' algorithms
	$(RUN) -m ci.images

lock: $(VENV)/ready ## Resolve the dependencies anew
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --upgrade pyproject.toml --output-file requirements.lock
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --upgrade --extra dev --constraints requirements.lock pyproject.toml --output-file requirements-dev.lock

.PHONY: help check test test-all explore bench demo demo-down poc poc-down cluster-up cluster-down cluster-status images lock soak
