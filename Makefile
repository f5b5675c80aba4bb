# Two commands are all a newcomer needs: `make demo` and `make test`.
# Everything is installed into .venv, nothing outside this folder is touched.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/installed

.PHONY: demo test coverage test-browser test-slurm test-package test-lowest docs lint benchmark clean help

help:            ## show this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 10

demo: $(STAMP)   ## tune a super-resolution network on real photographs (a quarter of an hour on two cores)
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/dsice run studies/demo.toml --in runs/demo
	@echo "The best network, measured once more from its checkpoint:"
	$(BIN)/superres evaluate --data runs/demo/stages/prepare/work \
	    --checkpoint "$$($(BIN)/dsice best runs/demo --json | $(BIN)/python -c 'import json, sys; print(json.load(sys.stdin)["directory"])')"
	$(BIN)/dsice report runs/demo

# Many tests wait for processes of their own: three at once keep two cores busy.
test: $(STAMP)   ## run the tests
	OMP_NUM_THREADS=1 PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest -n 3 --dist loadfile

# The processes that tests start are measured too, see [tool.coverage.run] in pyproject.toml.
coverage: $(STAMP)   ## run the tests and measure which lines they reach
	rm -f .coverage .coverage.*
	OMP_NUM_THREADS=1 PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest -n 3 --dist loadfile --cov --cov-report=term

test-browser: $(STAMP) $(STAMP)-docs   ## run the tests of the report and of the site in a real browser (installs Debian's chromium if missing and root)
	tests/browser/chromium.sh
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest -m browser

# All in one shell, whose trap stops the cluster however the tests end.
test-slurm: $(STAMP)   ## run the cluster tests on a real one-machine Slurm (installs Debian's Slurm if missing; needs root)
	@trap 'tests/slurm/cluster.sh stop' EXIT; trap 'exit 130' INT TERM; \
	setting="$$(tests/slurm/cluster.sh start)" && eval "$$setting" && \
	export DSICE_TEST_SLURM=1 PATH="$(abspath $(BIN)):$$PATH" && \
	$(BIN)/python -m pytest -n 8 -m "slurm and not alone" && \
	$(BIN)/python -m pytest -m "slurm and alone"

test-package: $(STAMP)-package   ## build the package and try it in empty environments (PYTHONS="3.11 3.12")
	DSICE_TEST_PACKAGE=1 DSICE_TEST_PYTHONS="$(PYTHONS)" $(BIN)/python -m pytest -m package

# What decides with which versions the core works is in tests/package/lowest.py.
test-lowest: $(STAMP)   ## run the core's quick tests with the lowest versions that pyproject.toml allows
	$(BIN)/python tests/package/lowest.py $(VENV)-lowest

docs: $(STAMP)-docs   ## build the documentation site into site/, strictly
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Open site/index.html"

lint: $(STAMP)   ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

benchmark: $(STAMP)-benchmark   ## compare the searches with those of other libraries (some minutes)
	$(BIN)/python -m benchmarks.compare --short

$(STAMP)-package: $(STAMP)
	$(BIN)/pip install --quiet --editable ".[package]"
	@touch $@

$(STAMP)-docs: $(STAMP)
	$(BIN)/pip install --quiet --editable ".[docs]"
	@touch $@

clean:           ## remove what the commands above made
	rm -rf $(VENV) $(VENV)-lowest runs site .pytest_cache .mypy_cache .ruff_cache .hypothesis

# torch is installed first and by itself: a range would pull the newest CUDA build where 2.13.0 will do.
$(STAMP): pyproject.toml
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --editable ".[demo,test]"
	@touch $@

$(STAMP)-benchmark: $(STAMP)
	$(BIN)/pip install --quiet --editable ".[benchmark]"
	@touch $@
