# Every target sets up .venv on a fresh machine and costs nothing once it is current.
# Without make (Windows): see "Install" in README.md.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: dry-run test test-faults test-long coverage soak reproduce lint audit bench clean

dry-run: $(VENV)/installed
	$(BIN)/labnis calibrate --dry-run

test: $(VENV)/installed
	$(BIN)/python -m pytest -n auto --dist loadfile

# Five at once also on two cores: most of their time passes with waiting for instruments and ramps.
test-faults: $(VENV)/installed
	$(BIN)/python -m pytest -n 5 -m 'faults and not long' --timeout 300 $(ARGS)

test-long: $(VENV)/installed
	$(BIN)/python -m pytest -n auto -m long --timeout 3000

coverage: $(VENV)/installed
	$(BIN)/python -m tests.long --write docs/calibration.md

soak: $(VENV)/installed
	$(BIN)/python -m tests.soak --workers 5 --write docs/reliability.md

# The figures of docs/physics.md; the table there is what this prints after --markdown.
reproduce: $(VENV)/installed
	$(BIN)/labnis reproduce --out docs/figures $(ARGS)

lint: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# Vulnerabilities of others are news, not failures; and the database may be out of reach.
audit: $(VENV)/installed-dev
	timeout 120 $(BIN)/pip-audit --skip-editable --timeout 5 || echo "warning: look at what pip-audit says above"

bench: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks

$(VENV)/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

$(VENV)/installed-bench: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	touch $@

clean:
	rm -rf $(VENV)
