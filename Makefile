# Two commands: `make demo` runs the main job on a bundled study, `make test` passes the tests.
# Both set up what they need in .venv and may be called again and again.

PYTHON ?= python3
# Many tests wait for a clock, a disk or a peer: more of them than cores go well together.
WORKERS ?= 3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test check bench setup setup-test clean

demo: setup
	$(BIN)/neurosieve demo --out demo-out

test: setup-test
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check: setup-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Minutes, on a machine that does nothing else. In parts: make bench PARTS="receive infer"
bench: setup-test
	$(BIN)/neurosieve bench $(PARTS)

setup: $(VENV)/serving.stamp

setup-test: $(VENV)/testing.stamp

$(BIN)/python:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'NeuroSieve needs Python 3.11 or later; name one with make PYTHON=...')"
	$(PYTHON) -m venv $(VENV)

$(VENV)/serving.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e .
	touch $@

# torch on its own line and pinned: a range would bring several gigabytes of CUDA libraries.
$(VENV)/testing.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) torch==2.13.0
	$(PIP) -e '.[test]'
	touch $@ $(VENV)/serving.stamp

clean:
	rm -rf $(VENV) demo-out bench-out
