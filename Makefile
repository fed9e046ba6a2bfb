# make            what there is
# make demo       see a trace
# make view       see it on the screen
# make test       everything that has to pass
# make bench      what tracing costs, beside aws-xray-sdk

# The first python3 that runs, 3.8 or newer: it only runs tools/, which find the one to work with.
PYTHON ?= $(shell for p in python3 python /usr/bin/python3 python3.11 python3.14 python3.13 python3.12 python3.10; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 8))' >/dev/null 2>&1 && echo $$p && break; done)
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo view test bench bench-view lint format layer build-XRayLambdaLayer clean need-python

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /make \1: /p' Makefile | awk -F: '{ printf "%-12s%s\n", $$1, $$2 }'

demo: need-python  ## run a sample handler in the real Lambda runtime and show its trace
	@$(PYTHON) tools/environments.py demo
	@$(BIN)/xray-lambda demo
	@echo "On the screen, with the map of its services and its timeline: make view"

view: need-python  ## the same, and its trace in the browser, until Ctrl-C
	@$(PYTHON) tools/environments.py demo,view
	@$(BIN)/xray-lambda demo --view

test: need-python  ## lint, the whole suite on Python 3.11, the core tests on every other Python found
	@$(PYTHON) tools/servers.py
	@$(PYTHON) tools/environments.py all
	@$(MAKE) --no-print-directory lint
	@$(PYTHON) tools/matrix.py

bench: need-python  ## measure what tracing costs, beside aws-xray-sdk in one run
	@$(PYTHON) tools/environments.py bench
	$(BIN)/python benchmarks/compare.py $(OPTIONS)

bench-view: need-python  ## load the viewer with 10 000 documents a second, then filter all that is stored
	@$(PYTHON) tools/environments.py bench
	$(BIN)/python benchmarks/view.py $(OPTIONS)

lint: need-python  ## ruff and mypy, over the package, tests, tools and examples
	@$(PYTHON) tools/environments.py dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: need-python  ## let ruff put the code in form
	@$(PYTHON) tools/environments.py dev
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

layer:  ## build the Lambda layer, dist/xray-lambda-layer.zip
	@./build.sh

build-XRayLambdaLayer:
	@./build.sh --unpacked "$(ARTIFACTS_DIR)"

clean:  ## remove everything that make has made
	rm -rf .venv .venvs build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find xray_lambda tests tools examples -name __pycache__ -type d -prune -exec rm -rf {} +

need-python:
	@test -n "$(PYTHON)" || { echo "Python is needed: install python3 (3.10 or newer) and try again." >&2; exit 1; }
