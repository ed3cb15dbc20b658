# Every target sets up .venv on a fresh machine and costs nothing once it is current.
# Without make (Windows): see "Install" in README.md.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Other versions of Python and of the dependencies have separate environments, and run the tests that depend on them.
NEWEST := .venv-newest
LOWEST := .venv-lowest
DEPENDENT := tests/station tests/drivers tests/sim_instruments tests/cli/test_calibrate.py tests/test_private_names.py

.PHONY: dry-run test test-documentation test-newest test-lowest test-faults test-long coverage soak reproduce lint docs audit bench clean

# As many processes as cores: more threads in each of them make all of them slower, by a factor of two.
test test-documentation test-newest test-lowest test-faults test-long coverage docs: export OMP_NUM_THREADS = 1

dry-run: $(VENV)/installed
	$(BIN)/labnis calibrate --dry-run

test: $(VENV)/installed
	$(BIN)/python -m pytest -n auto --dist worksteal

test-documentation: $(VENV)/installed
	$(BIN)/python -m pytest -n auto -m documentation

# Python 3.13 or 3.12 with the newest QCoDeS, which no longer runs on 3.11.
test-newest:
	@if python=$$(.ci/find-python 3.13 3.12); then $(MAKE) --no-print-directory $(NEWEST)/tested PYTHON="$$python"; \
	else echo "test-newest: neither Python 3.13 nor 3.12 runs here, so there is nothing to test"; fi

# Python 3.11 with the lowest version of each dependency that pyproject.toml allows.
test-lowest:
	@if python=$$(.ci/find-python 3.11); then $(MAKE) --no-print-directory $(LOWEST)/tested PYTHON="$$python"; \
	else echo "test-lowest: no Python 3.11 runs here, so there is nothing to test"; fi

.PHONY: $(NEWEST)/tested $(LOWEST)/tested
$(NEWEST)/tested: $(NEWEST)/installed
	$(NEWEST)/bin/python -m pip list 2>/dev/null | grep -iE '^(qcodes|pymeasure|pyvisa|numpy|xarray) '
	$(NEWEST)/bin/labnis calibrate --dry-run
	$(NEWEST)/bin/python -m pytest -n auto --dist worksteal $(DEPENDENT) tests/run

$(LOWEST)/tested: $(LOWEST)/installed
	$(LOWEST)/bin/labnis --help > /dev/null
	$(LOWEST)/bin/labnis calibrate --dry-run
	$(LOWEST)/bin/python -m pytest -n auto --dist worksteal $(DEPENDENT) tests/ledger

# Five at once also on two cores: most of their time passes with waiting for instruments and ramps.
test-faults: $(VENV)/installed
	$(BIN)/python -m pytest -n 5 -m 'faults and not long' --timeout 300 $(ARGS)

test-long: $(VENV)/installed
	$(BIN)/python -m pytest -n auto --dist worksteal -m long --timeout 3000 $(ARGS)

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

# Without the network; its notebooks run, and any warning is an error.
docs: $(VENV)/installed-docs
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --nitpicky --doctree-dir build/doctrees docs build/docs
	@echo "build/docs/index.html"

# Vulnerabilities of dependencies are warnings, not failures; and the database may not be reachable.
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

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	touch $@

$(VENV)/installed-bench: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	touch $@

$(NEWEST)/installed: pyproject.toml
	$(PYTHON) -m venv --clear $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

# uv can choose lowest versions, pip cannot.
$(LOWEST)/installed: pyproject.toml
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(LOWEST)/bin/uv pip compile --quiet --resolution lowest-direct --python $(LOWEST)/bin/python --extra test \
		--no-annotate --output-file $(LOWEST)/requirements.txt pyproject.toml
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --requirement $(LOWEST)/requirements.txt --editable .
	touch $@

clean:
	rm -rf $(VENV) $(NEWEST) $(LOWEST)
