# The ways in. Needs only Python >= 3.11, pip and make: every target sets up what it needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# `--without-pip` plus the outer pip's own `--python`: works too where the system's Python ships no ensurepip.
PIP    := $(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check --no-input -qq

# The locks are complete, so nothing is resolved: for a package that is asked for with an extra, pip would look at newer
# releases than the locked one, and refuse them for want of a hash. `pip check` says if a lock lacks something after all.
LOCKED := install --no-deps --require-hashes -r

.DEFAULT_GOAL := help
.PHONY: help demo test check coverage chaos lengths lock clean

help:  ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.runtime: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Afterword needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv --without-pip $(VENV)
	@echo "installing the locked dependencies into $(VENV) ..." >&2
	@$(PIP) $(LOCKED) requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "installing the locked development tools into $(VENV) ..." >&2
	@$(PIP) $(LOCKED) requirements-dev.lock
	@$(PIP) install --no-build-isolation --no-deps -e .
	@$(PIP) check
	@touch $@

$(VENV)/.recogniser: requirements-recogniser.lock $(VENV)/.runtime
	@echo "installing the recogniser (200 MB to download, 500 MB on disk) into $(VENV) ..." >&2
	@$(PIP) $(LOCKED) requirements-recogniser.lock
	@touch $@

# A recording of your own needs ears: the recogniser is installed only then.
demo: $(VENV)/.runtime $(if $(RECORDING),$(VENV)/.recogniser)  ## the whole job on this machine, no accounts (RECORDING=my.wav for your own)
	@$(BIN)/python -m service demo $(if $(RECORDING),--recording "$(RECORDING)") $(ARGS)

test: $(VENV)/.dev  ## every test, under five minutes on two cores
	@$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.dev  ## lint, formatting, types, import contracts, templates, Dockerfile
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/cfn-lint infra/afterword.yaml infra/subscribers/*.yaml
	@$(BIN)/hadolint Dockerfile infra/local/Dockerfile

coverage: $(VENV)/.dev  ## branch coverage of service/ by the whole suite, subprocesses included; fails below 95 %
	@rm -f .coverage .coverage.*
	@$(BIN)/coverage run -m pytest $(ARGS)
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report

chaos: $(VENV)/.dev  ## 200 recordings, faults everywhere, ten SIGKILLs; the ledger must balance (ENGINE=aws: three replicas)
	@$(BIN)/python -m tests.chaos $(if $(filter aws,$(ENGINE)),--engine aws --replicas $(or $(REPLICAS),3)) $(ARGS)

lengths: $(VENV)/.dev  ## eight transcripts of ten hours at once: asked of the model with room, in bounded memory
	@$(BIN)/python -m tests.longrun.lengths $(ARGS)

# The development tools first: what ships is what they were tested with, and the emulator pins its botocore.
lock:  ## write the lock files anew from pyproject.toml (needs uv)
	uv pip compile -q pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements-dev.lock
	uv pip compile -q pyproject.toml -c requirements-dev.lock --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements.lock
	uv pip compile -q pyproject.toml --extra recogniser -c requirements.lock --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements-recogniser.lock

clean:  ## forget the virtual environment and what tools left behind
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
