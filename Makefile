# The two commands of the README: `make demo` and `make test`. Each works alone on a fresh clone with Python 3.11+.
PYTHON ?= python3
# Each Python has its environment: .venv is python3's, PYTHON=python3.12 gets .venv-python3.12.
VENV   ?= .venv$(addprefix -,$(notdir $(filter-out python3,$(PYTHON))))
# The extra `train` where constraints.txt names the wheel of torch that is tested; elsewhere TRAIN=1 asks for pip's choice.
TRAIN  ?= $(shell $(PYTHON) -c "import sys; print('1' * (sys.version_info[:2] == (3, 11)))")
BIN    := $(VENV)/bin
comma  := ,
PIP    := $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-native test-cluster check fuzz bench results docs site wasm release clean
demo: $(VENV)/.demo
	$(BIN)/undin demo -o undin-demo

# Two cores need half the time of one; each process takes up to 1 GB of memory. Live sound runs by the clock, and so alone.
JOBS ?= logical
test: $(VENV)/.test
	$(BIN)/python -m pytest -n $(JOBS) --maxprocesses 8 --dist worksteal $(addprefix --ignore=tests/,native cluster live)
	$(BIN)/python -m pytest tests/live

# What needs a C compiler, hosts of plugins, Node or Chromium; tests skip where these are missing.
test-native: $(VENV)/.test wasm
	$(BIN)/python -m pytest tests/native

# Ray (240 MB) and a server of S3 on this machine, in an environment of their own; training on two nodes in the usual one.
test-cluster: $(VENV)-cluster/.done $(VENV)/.test
	$(VENV)-cluster/bin/python -m pytest tests/cluster
	$(BIN)/python -m pytest tests/cluster/test_training_nodes.py

check: $(VENV)/.check
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

# Hostile inputs for MINUTES to readers, arrays, models, manifests, recipes: prints counts; findings are saved in build/fuzz.
MINUTES ?= 10
fuzz: $(VENV)/.test
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES)

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks

results: $(VENV)/.test
	$(BIN)/python -m benchmarks.quality.enhancement
	$(BIN)/python -m benchmarks.quality.talkers
	$(BIN)/python -m benchmarks.quality.talkers_development
	$(BIN)/python -m benchmarks.speed.methods
	$(BIN)/python scripts/make_docs.py

docs: $(VENV)/.test
	$(BIN)/python scripts/make_docs.py

# A dead link, a missing reference and a docstring that Sphinx cannot read are errors.
site: $(VENV)/.site
	$(BIN)/python -m sphinx -q -W --keep-going -c docs -b html . build/site

# The page's networks for browsers, built into the package by the compiler that PyPI ships; and the page itself.
wasm: $(VENV)/.wasm
	$(BIN)/python -c "from undin.native import prebuild; prebuild()"
	$(BIN)/undin page -o build/page --overwrite

# The wheel as users get it: built, installed without the clone in an empty environment, the demo run from it.
release: $(VENV)/.test wasm
	rm -rf dist build/release
	$(PIP) build
	$(BIN)/python -m build --outdir dist .
	$(PYTHON) -m venv build/release
	build/release/bin/python -m pip install -q --disable-pip-version-check "$$(ls dist/*.whl)[eval]"
	cd build/release && bin/undin demo -o demo
	@ls -l dist

clean:
	rm -rf $(VENV) $(VENV)-cluster dist build undin-demo

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# PESQ is C code without wheels: it is added where a compiler is, and its scores and tests are left out where none is.
$(VENV)/.demo: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e ".[eval]"
	-@$(PIP) -e ".[pesq]" >/dev/null 2>&1 || echo "PESQ needs a C compiler; going on without it"
	@touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e ".[test$(if $(TRAIN),$(comma)train)]"
	$(if $(TRAIN),,@echo "without the extra train: tests that need torch are skipped (TRAIN=1 installs it)")
	-@$(PIP) -e ".[pesq]" >/dev/null 2>&1 || echo "PESQ needs a C compiler; its tests will be skipped"
	@touch $@

$(VENV)-cluster/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)-cluster
	$(VENV)-cluster/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[eval,ray,cloud]" pytest "moto[server]"
	@touch $@

$(VENV)/.site: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e ".[docs]"
	@touch $@

$(VENV)/.wasm: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e ".[wasm]"
	@touch $@

$(VENV)/.check: $(VENV)/.test
	$(PIP) -e ".[check]"
	@touch $@
