# Everything runs in a virtual environment of its own, .venv, installed from the files here.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow check bench peers weights weights-paper weights-segmenter clean

help: ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

demo: $(VENV)/.run ## install, make a synthetic study, analyse it, write demo/report/report.html
	$(BIN)/groundglass demo --out demo

# The processor as the tests see it: its own, held down to an older one's, or with bf16. Each library
# is told in its own words; OpenCV complains of the name of a feature that the processor lacks.
PROCESSOR ?= own
ifeq ($(filter own avx2 sse4 bf16,$(PROCESSOR)),)
  $(error PROCESSOR=$(PROCESSOR): expected own, avx2, sse4 or bf16)
endif
NEWER := X86_V4 AVX512_ICL AVX512_SPR
OPENCV_AVX512 := $(if $(shell grep -sw -m1 avx512f /proc/cpuinfo),AVX512-SKX)
PROCESSOR_own :=
PROCESSOR_avx2 := ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 OPENBLAS_CORETYPE=Haswell \
  OPENCV_IPP=avx2 OPENCV_CPU_DISABLE=$(OPENCV_AVX512) NPY_DISABLE_CPU_FEATURES="$(NEWER)"
PROCESSOR_sse4 := ONEDNN_MAX_CPU_ISA=SSE41 ATEN_CPU_CAPABILITY=default OPENBLAS_CORETYPE=Nehalem \
  OPENCV_IPP=sse42 OPENCV_CPU_DISABLE=AVX,FP16,FMA3,AVX2,$(OPENCV_AVX512) \
  NPY_DISABLE_CPU_FEATURES="X86_V3 $(NEWER)"
PROCESSOR_bf16 := PYTHONPATH=$(CURDIR)/tests/processors/bf16

test: $(VENV)/.dev ## install everything and run the tests, but for the slow ones
	$(PROCESSOR_$(PROCESSOR)) $(BIN)/python -m pytest -n auto --dist loadfile --cov --cov-report=term:skip-covered $(TESTS)

test-slow: $(VENV)/.dev ## run the tests marked slow, which `make test` leaves out
	$(BIN)/python -m pytest -n auto --dist loadfile -m slow $(TESTS)

check: $(VENV)/.dev ## format, lint, types, import directions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev ## every figure beside its peers and targets, to benchmarks/results
	$(BIN)/python -m benchmarks

peers: ## the environment of what `make bench` compares with
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --requirement benchmarks/peers/requirements.txt
	.venv-peers/bin/pip install --no-deps lungmask==0.2.22

weights: $(VENV)/.dev weights-segmenter ## rebuild the default bundle from ../shared/data (80 to 110 minutes on two cores)
	$(BIN)/python -m groundglass.train.slice_cohort --data ../shared/data \
	  --leave-out medseg --leave-out luna-volumes --out runs/slices
	$(BIN)/groundglass train all --experiment experiments/slices.toml \
	  --cohort runs/slices/cohort.csv --segmenter runs/segmenter-volumes \
	  --out runs/slices --cache runs/cache
	$(BIN)/python -m groundglass.train.verdict.fit --data ../shared/data \
	  --bundle runs/slices/bundle

weights-paper: $(VENV)/.dev ## rebuild the bundle with the paper's rule (about 40 minutes)
	$(BIN)/groundglass cohort phantom --out runs/phantoms
	$(BIN)/python -m groundglass.train.mixed_cohort --data ../shared/data --course synthetic --copies 4 \
	  --out runs/synthetic
	$(BIN)/groundglass train encoder --experiment experiments/synthetic.toml \
	  --cohort runs/synthetic/cohort.csv --out runs/synthetic --cache runs/cache
	$(BIN)/python -m groundglass.train.mixed_cohort --data ../shared/data --course real \
	  --phantoms runs/phantoms/cohort.csv --out runs/best
	$(BIN)/groundglass train all --experiment experiments/best.toml \
	  --cohort runs/best/cohort.csv --out runs/best --cache runs/cache

weights-segmenter: $(VENV)/.dev ## train the lung segmenter on whole volumes (35 to 60 minutes on a core)
	$(BIN)/groundglass cohort phantom --out runs/phantoms
	$(BIN)/python -m groundglass.train.segmenter.lung_cohort --data ../shared/data \
	  --out runs/lungs/cohort.csv
	$(BIN)/groundglass train segmenter --experiment experiments/segmenter-volumes.toml \
	  --cohort runs/phantoms/cohort.csv --lungs runs/lungs/cohort.csv \
	  --out runs/segmenter-volumes

clean: ## remove the virtual environment and what was made
	rm -rf $(VENV) demo

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# What a user installs: no deep-learning framework.
$(VENV)/.run: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt --editable .
	@touch $@

# What a developer adds. PyTorch is named with its exact version so that the CPU build is taken.
$(VENV)/.dev: $(VENV)/.run
	$(PIP) install torch==2.13.0
	$(PIP) install --constraint constraints.txt --editable '.[dev,deidentify,evaluate,train,postgresql,fhir,hl7,web]'
	@touch $@
