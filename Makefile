# `make help` lists the verbs. Each does its own set-up, into .venv in this folder.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROTOS := $(wildcard protos/obclip/v1/*.proto)
RUN := $(BIN)/python

.DEFAULT_GOAL := help
.PHONY: help setup models train demo serve test test-slow check proto proto-check bench load lint types clean

help:  ## list the verbs
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || \
	  { echo "obclip needs Python 3.11 or 3.12: make PYTHON=python3.11 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo "Python has no venv module: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'  # dependency groups
	@touch $@

# One stamp per set of packages: device + cloud for running, test for testing, dev + export for developing.
$(VENV)/.run: $(VENV)/.python pyproject.toml
	$(BIN)/pip install --quiet --editable '.[device,cloud]'
	@touch $@

$(VENV)/.test: $(VENV)/.run
	$(BIN)/pip install --quiet --editable '.[device,cloud]' --group test
	@touch $@

$(VENV)/.dev: $(VENV)/.test
	$(BIN)/pip install --quiet torch==2.13.0  # alone first: any other request may bring the CUDA build
	$(BIN)/pip install --quiet --editable '.[device,cloud,export]' --group dev --group train
	@touch $@

setup: $(VENV)/.dev  ## everything for development: torch, linters, protobuf compiler

demo: $(VENV)/.run  ## a private portrait through a real Triton: out/demo.png and out/demo-cloud.png
	$(RUN) -m demo_models.demo --out out

serve: $(VENV)/.run  ## the cloud service on 127.0.0.1:50051, until Ctrl-C
	$(BIN)/obclip serve

test: $(VENV)/.test  ## all tests that need no torch; with `make setup` before, the parity tests as well
	$(BIN)/pytest -q

test-slow: $(VENV)/.dev  ## tests that take minutes
	$(BIN)/pytest -q -m slow --timeout 1200

models: $(VENV)/.dev  ## the ONNX graphs, the model card and triton_models, from the trained weights
	$(RUN) -m benchmarks.graphs
	$(BIN)/obclip export --cloud demo_models/weights --device demo_models/weights/device_unet \
	  --out demo_models/weights --triton-models triton_models --family obclip-portraits \
	  --licence Apache-2.0 --wire-type float16 --defaults 25 2.5 10

train: $(VENV)/.dev  ## train the demo family from nothing (hours; resumable)
	$(RUN) -m demo_models.training all

bench: $(VENV)/.dev  ## all methods side by side: docs/benchmarks.md and its plots; goes on where it stopped
	$(RUN) -m benchmarks.suite

load: $(VENV)/.dev  ## many users at once against one service: a section and a plot of docs/benchmarks.md
	$(RUN) -m benchmarks.load --page

proto: $(VENV)/.dev  ## regenerate obclip/v1 from protos
	$(RUN) -m grpc_tools.protoc -I protos --python_out=. --pyi_out=. $(PROTOS)
	$(RUN) -m grpc_tools.protoc -I protos --grpc_python_out=. protos/obclip/v1/service.proto

proto-check: proto  ## fail when the committed obclip/v1 is not what protos say
	git diff --exit-code -- obclip/v1

lint: $(VENV)/.dev  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev  ## mypy, strict
	$(BIN)/mypy

check: lint types proto-check test  ## what CI runs

clean:  ## remove what the verbs made, the virtual environment too
	rm -rf $(VENV) build out .pytest_cache .mypy_cache .ruff_cache
