# `make demo` and `make test` need git, make and Python 3.11 or newer; everything else they install themselves.
# Every path is relative, so a checkout whose own path holds spaces works too.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= auto
DEMO_FOLDER ?= .

.PHONY: help demo test test-llm check lint types imports clean lock system

help:  ## Show these targets.
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /: /'

demo: $(VENV)/.installed system  ## Run the whole loop on the bundled solution, in a new folder.
	@"$(BIN)/agent" demo --folder "$(DEMO_FOLDER)" --environments .venv-digits

test: check  ## Run every check: lint, types, import contracts, tests, documentation.
	@sh .ci/test-packages
	@"$(BIN)/python" -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

test-llm: $(VENV)/.installed system  ## The tests against a real server of language models, which is built once (8 minutes of CPU time).
	@sh .ci/test-llm "$(PYTHON)" "$(VENV)"

check: lint types imports  ## Everything of `test` that needs no run: lint, types, import contracts.

lint: $(VENV)/.installed system  ## ruff, rules and format.
	@"$(BIN)/ruff" check .
	@"$(BIN)/ruff" format --check .

types: $(VENV)/.installed  ## mypy --strict on the six packages.
	@"$(BIN)/mypy"

imports: $(VENV)/.installed  ## The import contracts.
	@"$(BIN)/lint-imports"

system:
	@sh .ci/system-packages

$(VENV)/.installed: requirements.lock pyproject.toml .ci/make-venv
	@sh .ci/make-venv "$(PYTHON)" "$(VENV)"

lock:  ## Write requirements.lock anew from pyproject.toml.
	@sh .ci/lock "$(PYTHON)"

clean:  ## Remove what was installed; demonstrations and your workspaces stay.
	rm -rf $(VENV) .venv-digits .venv-charlm .venv-llm .llama .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
