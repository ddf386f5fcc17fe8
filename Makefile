# `make serve` and `make test` need Python 3.11 or 3.12, its shared library, libgomp, make and glibc;
# what lacks is named, with the line that installs it, before anything else is done.
PYTHON ?=
PYTHONS := $(if $(PYTHON),"$(PYTHON)",python3 python3.12 python3.11 /usr/bin/python3)
VENV := .venv
BIN := $(VENV)/bin
# Not the script that pip makes: in a folder with a $ or a quotation mark it cannot run.
GEMMA4 := $(BIN)/python -P -m gemma4_cli
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
ENGINE ?= engines/demo
LOCK := requirements.lock

.PHONY: setup serve chat gateway load test test-xgrammar test-fresh test-fuzz test-faults test-endurance lint format \
  bench bench-clients bench-host bench-agreement bench-host-ttft bench-meter clean
.DEFAULT_GOAL := setup

$(VENV)/.created:
	@python=$$(sh install/check.sh $(PYTHONS)) && sh install/make_venv.sh "$$python" $(VENV)
	@touch $@

$(VENV)/.serve: $(VENV)/.created pyproject.toml $(LOCK)
	$(PIP) install -c $(LOCK) -e '.[serve]'
	@touch $@

$(VENV)/.dev: $(VENV)/.serve
	$(PIP) install -c $(LOCK) -e '.[dev]'
	@touch $@

setup: $(VENV)/.serve

$(VENV)/.gateway: $(VENV)/.serve
	$(PIP) install -c $(LOCK) -e '.[gateway]'
	@touch $@

$(ENGINE)/engine.json: | $(VENV)/.serve
	$(GEMMA4) build demo/checkpoint --out $(ENGINE) --precision f32 --slots 8 --max-total-tokens 2048

serve: $(VENV)/.serve $(ENGINE)/engine.json
	@exec $(GEMMA4) serve --engine $(ENGINE) $(ARGS)

chat: $(VENV)/.serve
	@exec $(GEMMA4) chat $(ARGS)

gateway: $(VENV)/.gateway
	@exec $(GEMMA4) gateway $(ARGS)

$(VENV)/.load: $(VENV)/.serve
	$(PIP) install -c $(LOCK) -e '.[load]'
	@touch $@

load: $(VENV)/.load
	@exec $(GEMMA4) load $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: $(VENV)/.dev lint
	$(BIN)/python -m pytest $(ARGS)

# The structural tags of TensorRT-LLM, walked through xgrammar itself; it brings PyTorch.
XGRAMMAR := 0.1.25 0.1.32 0.2.9
XGRAMMAR_VENV := .venv-xgrammar
$(XGRAMMAR_VENV)/.created: | $(VENV)/.created
	$(BIN)/python -m venv --clear $(XGRAMMAR_VENV)
	$(XGRAMMAR_VENV)/bin/python -m pip --disable-pip-version-check --quiet install -c $(LOCK) \
	  torch tokenizers msgspec pydantic transformers
	@touch $@

test-xgrammar: $(XGRAMMAR_VENV)/.created
	@for version in $(XGRAMMAR); do $(XGRAMMAR_VENV)/bin/python -m pip --disable-pip-version-check \
	  --quiet install xgrammar==$$version && $(XGRAMMAR_VENV)/bin/python tests/xgrammar_walk || exit 1; done

# README's commands in containers that have nothing; needs podman. See tests/fresh/README.md.
BASES ?= bookworm
test-fresh:
	@python3 tests/fresh $(ARGS) $(BASES)

# COUNT requests of each of Triton's four protocols and of the gateway, and the hand-made bombs.
COUNT ?= 20000
test-fuzz: $(VENV)/.dev
	FUZZ_COUNT=$(COUNT) $(BIN)/python -m pytest tests/e2e/fuzz \
	  tests/clients/gateway/test_gateway_mutations.py tests/clients/gateway/test_gateway_bombs.py -s $(ARGS)

# Every process of a server, killed and frozen in every phase: a table, an hour.
FAULTS ?= out/faults.md
test-faults: $(VENV)/.dev
	@mkdir -p $(dir $(FAULTS))
	PYTHONPATH=tests $(BIN)/python -m e2e.faults.matrix --out $(FAULTS) $(ARGS)

# Overload, a rolling restart, and fourteen minutes of mixed requests.
test-endurance: $(VENV)/.dev
	PYTHONPATH=tests $(BIN)/python -m e2e.faults.endurance overload
	PYTHONPATH=tests $(BIN)/python -m e2e.faults.endurance rolling
	PYTHONPATH=tests $(BIN)/python -m e2e.faults.endurance soak $(ARGS)

RANDOM_ENGINE := engines/random-1gb
$(RANDOM_ENGINE)/engine.json: | $(VENV)/.dev
	rm -rf $(RANDOM_ENGINE)-checkpoint
	$(BIN)/python -m gemma4_build.random_checkpoint --preset 1gb --tokenizer demo/checkpoint \
	  $(RANDOM_ENGINE)-checkpoint
	$(GEMMA4) build $(RANDOM_ENGINE)-checkpoint --out $(RANDOM_ENGINE) --precision bf16 \
	  --slots 32 --max-total-tokens 512 --skip-verify

bench-clients: $(VENV)/.dev
	$(BIN)/python bench/clients.py $(ARGS)

bench: $(VENV)/.dev $(ENGINE)/engine.json $(RANDOM_ENGINE)/engine.json
	$(BIN)/python bench/engine.py --engine $(ENGINE) $(ARGS)
	$(BIN)/python bench/engine.py --engine $(RANDOM_ENGINE) $(ARGS)

bench-host: $(VENV)/.dev
	$(BIN)/python bench/host.py $(ARGS)

# AIPerf brings more than a hundred packages: they get an environment of their own.
AIPERF := 0.13.0
AIPERF_VENV := .venv-aiperf
$(AIPERF_VENV)/.$(AIPERF): | $(VENV)/.created
	$(BIN)/python -m venv --clear $(AIPERF_VENV)
	$(AIPERF_VENV)/bin/python -m pip --disable-pip-version-check --quiet install aiperf==$(AIPERF)
	@touch $@

bench-agreement: $(VENV)/.dev $(AIPERF_VENV)/.$(AIPERF)
	$(BIN)/python bench/agreement.py $(ARGS)

bench-host-ttft: $(VENV)/.dev
	$(BIN)/python bench/host_ttft.py $(ARGS)

bench-meter: $(VENV)/.dev
	$(BIN)/python bench/meter.py $(ARGS)

clean:
	rm -rf $(VENV) $(AIPERF_VENV) $(XGRAMMAR_VENV) engines .mypy_cache .ruff_cache .pytest_cache .hypothesis
