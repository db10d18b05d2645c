# The few words everybody types. `make` alone lists them.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode
.DEFAULT_GOAL := help
.PHONY: help demo test check fix bench docs-figures catalogues pins clean

help:            ## list these words
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 16

$(VENV)/.installer: requirements/installer.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "steward needs Python 3.11 or newer; run: make PYTHON=/path/to/python3.11 …"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv"; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/installer.txt
	@touch $@

$(VENV)/.workbench: $(VENV)/.installer requirements/workbench.txt pyproject.toml
	$(UV) --require-hashes -r requirements/workbench.txt
	$(UV) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.test: $(VENV)/.installer requirements/test.txt pyproject.toml
	$(UV) --require-hashes -r requirements/test.txt
	$(UV) --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.workbench

demo: $(VENV)/.workbench   ## go the whole way once, on a generated CRM, into ./demo
	@$(BIN)/steward demo --into demo

test: $(VENV)/.test system-packages   ## run every test (installs what they need)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

.PHONY: system-packages
system-packages:
	@sh tests/support/system_packages.sh

check: $(VENV)/.test   ## format, lint, types, borders
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

fix: $(VENV)/.test   ## mend format and lint
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench-%: $(VENV)/.test   ## measure one room against its rival, e.g. make bench-duplicates
	$(BIN)/python -m bench.$*

bench: $(VENV)/.test   ## measure every room and write docs/figures.md
	$(BIN)/python -m bench

catalogues: $(VENV)/.test   ## collect sentences and compile the translations
	$(BIN)/python -m steward.locale.build

pins: $(VENV)/.installer   ## renew the pinned requirements (hashes, no addresses)
	@for set in "base:" "workbench:--extra workbench --extra postgres" "test:--extra test --extra dev"; do \
	  $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --no-annotate --no-header pyproject.toml $${set#*:} -o requirements/$${set%%:*}.txt || exit 1; done
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --no-annotate --no-header requirements/installer.in -o requirements/installer.txt

clean:           ## remove what the other words made
	rm -rf $(VENV) demo build dist artifacts .pytest_cache .mypy_cache .ruff_cache .hypothesis
