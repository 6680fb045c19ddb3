# make demo: everything set up from nothing, then the main job on phantoms. make test: lint, types, layers, the quick tests;
# make test-all: every test, with coverage.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: demo test test-all lint docs bench clean oracles browser

demo: $(STAMP)
	$(BIN)/annofree demo -o demo --overwrite

# Two processes, a file to each: what a file's tests share is then made once. Threads would only fight over the cores.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --durations=8

test: $(STAMP) lint browser
	$(PYTEST) -m "not slow and not real"

test-all: $(STAMP) lint browser
	$(PYTEST) --cov --cov-report=term

# The review pages are tested in a real browser; without one these tests skip and say so.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } || \
	echo "no Chromium here: the browser tests will be skipped"

lint: $(STAMP)
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP)
	$(BIN)/pip install -q -c constraints.txt -e '.[docs]'
	$(BIN)/sphinx-build -W -q -b html docs docs/_build/html

oracles: $(STAMP)
	bash tests/metrics/oracles/run.sh

bench: $(STAMP)
	$(BIN)/python benchmarks/bench_segment.py
	$(BIN)/python benchmarks/bench_metrics.py
	$(BIN)/python benchmarks/bench_import.py

# torch comes first and pinned: another package's wish for torch would bring several GB of CUDA packages.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	@echo "installing torch (several hundred MB, some minutes; nothing is printed meanwhile) ..."
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt torch
	@echo "installing annofree and what it and its tests need (some minutes) ..."
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[test,lint]'
	touch $@

clean:
	rm -rf $(VENV) demo docs/_build
