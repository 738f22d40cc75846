# make demo   export the demo network, translate photographs and a video, show where the pictures are
# make test   lint, types, and the tests that are quick
# make test-all   the same, and every test: what CI runs
# make web    the browser's runtime from npm, checked against its checksums, into the page of `edge-i2i serve`
# make fuzz   damaged files at everything that reads a stranger's, a minute a target
# make bench  the timings that the docs quote, as JSON in docs/figures/
# Each makes .venv and installs into it first, once; a change of the lists of packages installs again. The demo installs
# a small part of what the tests need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEMO_INSTALLED := $(VENV)/.installed-demo
RUNTIME := edge_i2i/web/page/ort/ort.wasm.min.mjs
BINDINGS := .cache/tensorrt/.prepared
THREADS ?= 2
# More than there are cores: tests wait for other programs, for sockets and for frames.
PROCESSES ?= 3
# On Linux the usual PyTorch brings 3 GB of CUDA. The index of its CPU build, which the command on pytorch.org's page
# "Get started" names for Pip and CPU, spares them: make test TORCH_INDEX=…; where it cannot be reached, the usual serves.
TORCH_INDEX ?=
PIP_INSTALL := $(BIN)/python -m pip install --quiet -c constraints.txt
define install
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(PIP_INSTALL) --no-deps --retries 1 --timeout 20 --index-url $(TORCH_INDEX) torch || true,:)
	$(PIP_INSTALL) -e '.[$(1)]'
	touch $@
endef

.PHONY: demo test test-all lint types web bench fuzz clean

demo: $(DEMO_INSTALLED)
	$(BIN)/python runtime/demo.py --output demo --threads $(THREADS)

# A process that a test ends is not started again: pytest-xdist may wait for ever for the rest of that file.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadfile --max-worker-restart 0 $(PYTEST_OPTIONS)

test: lint types $(RUNTIME)
	$(PYTEST) -m "not slow"

test-all: lint types $(RUNTIME)
	$(PYTEST)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(BINDINGS)
	$(BIN)/mypy

web: $(RUNTIME)

$(RUNTIME): edge_i2i/web/npm/package-lock.json edge_i2i/web/npm/SHA256SUMS | $(INSTALLED)
	$(BIN)/python -m edge_i2i.web.vendor
	touch $@

bench: $(INSTALLED)
	$(BIN)/python -m pytest benchmarks --benchmark-only --benchmark-json=docs/figures/translator-overhead.json

fuzz: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.fuzz.run

$(INSTALLED): pyproject.toml constraints.txt
	$(call install,dev)

$(DEMO_INSTALLED): pyproject.toml constraints.txt
	$(call install,demo)

# Real TensorRT bindings and type stubs for the contract tests; kept out of the environment, where they would pose as TensorRT.
$(BINDINGS): tests/samples/tensorrt/prepare_bindings.py | $(INSTALLED)
	$(BIN)/python tests/samples/tensorrt/prepare_bindings.py
	touch $@

clean:
	rm -rf $(VENV) .cache demo build dist
