.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo-hospital
STAMP := $(VENV)/.installed

.PHONY: help setup demo test lint schemas bench bench-full bundle artefacts torture spark clean

help:  ## Show this help
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## Make .venv and install pathcurate with its development tools

$(STAMP): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "pathcurate needs Python 3.11 or later; set PYTHON=python3.12 or the like" >&2; rm -rf $(VENV); exit 1; }
	@echo "Installing pathcurate and its development tools into $(VENV); the first time this takes some minutes." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: setup  ## Run the whole pipeline on a made-up hospital
	@rm -rf $(DEMO)
	@$(BIN)/pathcurate init --demo $(DEMO)
	@$(BIN)/pathcurate run $(DEMO)/recipes/demo_he_2023.yaml -w $(DEMO)
	@$(BIN)/pathcurate deid files --release demo_he_2023 --to $(DEMO)/delivery -w $(DEMO)

# A file's tests stay together, for they share what is dear to make; long files come first, in the order of folders. While
# the transcripts' process makes the hospital that the next ones need, the other has something to do without it.
FIRST_TESTS := tests/cli/ tests/property/
OTHER_TESTS = $(wildcard tests/test_*.py) $(filter-out $(FIRST_TESTS),$(sort $(dir $(wildcard tests/*/test_*.py))))
# Byte code is kept even where the environment says otherwise: tests start hundreds of processes.
test: export PYTHONDONTWRITEBYTECODE =
test: setup  ## Run all tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(FIRST_TESTS) $(OTHER_TESTS)

lint: setup  ## ruff and mypy strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

schemas: setup  ## Render schemas/ from the declarations in pathcurate/model
	$(BIN)/python -c 'from pathlib import Path; from pathcurate.contracts import write_contracts; write_contracts(Path("schemas"))'

BENCH ?=
bench: setup  ## Measure on small inputs, in some minutes, as one table
	$(BIN)/python tests/bench/table.py $(BENCH)

bench-full: setup  ## Measure at the size of an archive, in some hours
	$(BIN)/python tests/bench/table.py --full $(BENCH)

BUNDLE ?=
bundle: setup  ## Archives that install pathcurate without network (x86_64 and aarch64), in dist/
	$(BIN)/python .ci/bundle.py $(BUNDLE)

artefacts: setup  ## Build wheel, sdist and bundle, install each in a clean environment and try it
	.ci/artefacts

torture: setup  ## Kill, starve and confuse every stage for half an hour, and print what held
	$(BIN)/python -m tests.torture --minutes 30 --seed 1

spark: setup  ## Set up Spark of the client's version in .venv-spark, for the tests on a cluster
	@test -x .venv-spark/bin/python || $(BIN)/python -m venv .venv-spark
	.venv-spark/bin/python -m pip install --quiet "pyspark==$$($(BIN)/python -c 'from importlib.metadata import version; print(version("pyspark-client"))')"

clean:  ## Remove everything that make made
	rm -rf $(VENV) .venv-* $(DEMO) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
