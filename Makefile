# Everything runs from a .venv of plain python3 -m venv and pip; nothing else is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# What pip does for a package that is not editable; without it, each start compiles what it imports
# wherever PYTHONDONTWRITEBYTECODE is set.
COMPILE := $(BIN)/python -m compileall -q devserver bench

.PHONY: serve test coverage lint bench clean
.DEFAULT_GOAL := serve

serve: $(READY)
	@PATH="$(CURDIR)/$(BIN):$$PATH" upm-dev serve sample-plugin --trust || test $$? -eq 130 # Ctrl-C is how it ends

test: $(READY)
	@$(BIN)/pytest -n auto

# The same tests, half as long again: what they reach is counted, in child processes too.
coverage: $(READY)
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -n auto
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

lint: $(READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

bench: $(READY)
	@$(COMPILE)
	@$(BIN)/python -m bench

clean:
	rm -rf $(VENV) dist build .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(READY): pyproject.toml
	@echo "setting up $(VENV) (once; some 30 seconds)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@$(COMPILE)
	@touch $@
