# Every target sets up .venv on a fresh machine and costs nothing once it is current.
# Without make (Windows): see "Install" in README.md.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: dry-run test test-long lint bench clean

dry-run: $(VENV)/installed
	$(BIN)/labnis calibrate --dry-run

test: $(VENV)/installed
	$(BIN)/python -m pytest -n auto

test-long: $(VENV)/installed
	$(BIN)/python -m pytest -n auto -m long --timeout 3000

lint: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed
	$(BIN)/python -m benchmarks

$(VENV)/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV)
