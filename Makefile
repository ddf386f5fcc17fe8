# `make serve` and `make test` need Python 3.11 or 3.12, its shared library, libgomp, make and glibc.
# What is missing is named, with the line that installs it, before anything else is done.
#
# A comment that begins with ## is what `make help` says of the target in its line.
# In plain C Python cannot read the path of a checkout that is not ASCII.
ifneq (,$(filter C POSIX,$(LC_ALL)))
export LC_ALL := C.UTF-8
endif
PYTHON ?=
PYTHONS := $(if $(PYTHON),"$(PYTHON)",python3 python3.12 python3.11 /usr/bin/python3)
VENV := .venv
BIN := $(VENV)/bin
# Not the script that pip makes: in a folder with a $ or a quotation mark it cannot run.
GEMMA4 := $(BIN)/python -P -m gemma4_cli
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
ENGINE ?= engines/demo
LOCK := requirements.lock

.PHONY: help setup native native-undo serve chat gateway load lint types-of-clients format generate test test-unit test-pythons coverage test-xgrammar test-dynamo test-helm test-monitoring \
  test-alerts test-fresh test-compose test-compose-faults test-image-twice test-dashboards test-page test-second-opinion test-gpu-image test-clients test-fuzz test-random test-faults test-restarts soak sbom audit bench bench-26b bench-clients bench-nvidia bench-host \
  bench-host-ttft bench-overload bench-meter bench-agreement bench-plan bench-plan-scale types-of-models clean
.DEFAULT_GOAL := setup

help: ## Show this list. ARGS='...' passes options on to a target's command.
	@sed -nE 's/^([a-z][a-z0-9-]*):.*## (.*)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

$(VENV)/.created:
	@python=$$(sh install/check.sh $(PYTHONS)) && sh install/make_venv.sh "$$python" $(VENV)
	@touch $@

$(VENV)/.serve: $(VENV)/.created pyproject.toml $(LOCK)
	$(PIP) install -c $(LOCK) -e '.[serve]'
	@touch $@

$(VENV)/.test: $(VENV)/.serve
	$(PIP) install -c $(LOCK) -e '.[test]'
	@touch $@

$(VENV)/.dev: $(VENV)/.test
	$(PIP) install -c $(LOCK) -e '.[dev]'
	@touch $@

# The same version from its source, for this processor; installed only if it runs (scripts/native.py).
native: $(VENV)/.serve $(ENGINE)/engine.json ## Compile llama.cpp for this processor, and use it if it runs.
	$(BIN)/python scripts/native.py --engine $(ENGINE) $(ARGS)

native-undo: $(VENV)/.serve ## Go back to the wheel of llama.cpp.
	$(PIP) install --force-reinstall --no-deps -c $(LOCK) xllamacpp

setup: $(VENV)/.serve ## Install what serving needs into .venv (the default).

$(VENV)/.gateway: $(VENV)/.serve
	$(PIP) install -c $(LOCK) -e '.[gateway]'
	@touch $@

$(ENGINE)/engine.json: | $(VENV)/.serve
	$(GEMMA4) build demo/checkpoint --out $(ENGINE) --precision f32 --slots 8 --max-total-tokens 2048

serve: $(VENV)/.serve $(ENGINE)/engine.json ## Build the demo engine and serve it.
	@exec $(GEMMA4) serve --engine $(ENGINE) $(ARGS)

chat: $(VENV)/.serve ## Talk to the server in the terminal.
	@exec $(GEMMA4) chat $(ARGS)

gateway: $(VENV)/.gateway ## Serve OpenAI's API in front of it.
	@exec $(GEMMA4) gateway $(ARGS)

$(VENV)/.load: $(VENV)/.serve
	$(PIP) install -c $(LOCK) -e '.[load]'
	@touch $@

load: $(VENV)/.load ## Measure it under load.
	@$(GEMMA4) load $(ARGS) || [ $$? -eq 3 ] # 3: measured, and the verdict says what is wrong

lint: $(VENV)/.dev ## Check style, types and generated code.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/python scripts/unasync.py --check
	$(BIN)/python -m declare --check

format: $(VENV)/.dev ## Format the code.
	$(BIN)/python scripts/unasync.py
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Clients, gateway and load tests run on more Pythons than the server; what is newer than the oldest
# of these fails here.
lint: types-of-clients
types-of-clients: $(VENV)/.dev ## Check the types of the light packages for the oldest Python.
	$(BIN)/python -m mypy --python-version 3.10 clients/gemma4_client clients/gemma4_dynamo clients/gemma4_gateway load_tests/gemma4_load cli/gemma4_cli

# Parts of files that `python -m declare` makes, then pages that tests compare with the code.
PAGES := tests/build/trtllm/test_precision_page.py tests/clients/gateway/test_gateway_pages.py \
  tests/clients/test_reference_page.py tests/runtime/input/test_errors_page.py tests/cli/test_cli_page.py \
  tests/docs/test_metrics_page.py tests/deploy/test_licenses.py
generate: $(VENV)/.test ## Write anew what is made from the code: tensors, options, pages.
	$(BIN)/python -m declare
	UPDATE_DOCS=1 $(BIN)/python -m pytest -q $(PAGES)

# Processes that share the tests which do not measure the machine. 5 is pytest's status when the
# arguments name tests of the other half only.
WORKERS ?= 2
TOGETHER := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# With LANES=1 three parts run at once, each in a network of its own: see scripts/lanes.sh.
test: $(VENV)/.dev lint ## Lint, and run every test, also against a real server.
ifdef LANES
	@bash scripts/lanes.sh $(BIN)/python $(ARGS)
else
	@$(BIN)/python -m pytest --only together $(TOGETHER) $(ARGS); together=$$?; \
	  $(BIN)/python -m pytest --only alone $(ARGS); \
	  case $$together,$$? in 0,0 | 0,5 | 5,0) ;; *) exit 1 ;; esac
endif

test-unit: $(VENV)/.test ## Run the fast tests: no server, no torch.
	$(BIN)/python -m pytest --unit $(TOGETHER) $(ARGS)

# Each in an environment of its own, .venv-pythons/VERSION, with the newest packages and no lock.
LIGHT_PYTHONS ?= python3.10 python3.11 python3.12 python3.13 python3.14
# SERVER= leaves out what asks a real server, which needs a Python of its own.
SERVER ?= demo
ifneq (,$(SERVER))
test-pythons: $(VENV)/.test $(ENGINE)/engine.json
endif
test-pythons: ## Test clients, gateway and load on every Python from 3.10 that is found.
	@$(if $(SERVER),$(BIN)/python scripts/beside_server.py $(ENGINE)) sh scripts/test_pythons.sh $(LIGHT_PYTHONS)

coverage: $(VENV)/.test ## Run the fast tests and print which lines they cover; there is no gate.
	$(BIN)/python -m coverage run -m pytest --unit -q $(ARGS)
	$(BIN)/python -m coverage report

# The models are files of one name, model.py, in folders that are no packages: mypy takes one a run.
lint: types-of-models
types-of-models: $(VENV)/.dev ## Check the types of the models in model_repository.
	@for model in model_repository/*/1/model.py nvidia_repository/*/1/model.py; do \
	  echo "mypy $$model"; $(BIN)/python -m mypy --no-error-summary $$model || exit 1; done

# The structural tags of TensorRT-LLM, walked through xgrammar itself; it brings PyTorch.
XGRAMMAR := 0.1.25 0.1.32 0.2.9
XGRAMMAR_VENV := .venv-xgrammar
$(XGRAMMAR_VENV)/.created: | $(VENV)/.created
	$(BIN)/python -m venv --clear $(XGRAMMAR_VENV)
	$(XGRAMMAR_VENV)/bin/python -m pip --disable-pip-version-check --quiet install -c $(LOCK) \
	  torch tokenizers msgspec pydantic transformers
	@touch $@

test-xgrammar: $(XGRAMMAR_VENV)/.created ## Walk TensorRT-LLM's guides through xgrammar itself.
	@for version in $(XGRAMMAR); do $(XGRAMMAR_VENV)/bin/python -m pip --disable-pip-version-check \
	  --quiet install xgrammar==$$version && $(XGRAMMAR_VENV)/bin/python tests/xgrammar_walk || exit 1; done

# Dynamo pins another pydantic than the lock file, and its package aisimulate is not to be had.
DYNAMO := 1.6.1
DYNAMO_VENV := .venv-dynamo
DYNAMO_NEEDS := aiohttp certifi 'kubernetes<33' msgspec prometheus-client pyzmq 'redis<9' tqdm \
  transformers uvloop zstandard hypothesis openai pytest pytest-timeout
$(DYNAMO_VENV)/.$(DYNAMO): $(LOCK) deploy/docker/dynamo.lock | $(VENV)/.created
	$(BIN)/python -m venv --clear $(DYNAMO_VENV)
	@grep -v '^pydantic' $(LOCK) | cat - deploy/docker/dynamo.lock > $(DYNAMO_VENV)/constraints.txt
	$(DYNAMO_VENV)/bin/python -m pip --disable-pip-version-check --quiet install \
	  -c $(DYNAMO_VENV)/constraints.txt -e '.[dynamo,serve]' $(DYNAMO_NEEDS)
	$(DYNAMO_VENV)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps \
	  ai-dynamo==$(DYNAMO)
	@touch $@

test-dynamo: $(DYNAMO_VENV)/.$(DYNAMO) ## Run NVIDIA Dynamo's frontend over two workers of ours.
	$(DYNAMO_VENV)/bin/python -m pytest -c tests/dynamo/pytest.ini tests/dynamo -q -s $(ARGS)

# The Helm chart, rendered by Helm's own engine, which comes as a library of 240 MB.
HELM_VENV := .venv-helm
HELM_PACKAGES := helm-python-sdk==0.2.2 kubernetes-validate==1.37.0 pytest pyyaml
$(HELM_VENV)/.created: | $(VENV)/.created
	$(BIN)/python -m venv --clear $(HELM_VENV)
	$(HELM_VENV)/bin/python -m pip --disable-pip-version-check --quiet install -c $(LOCK) $(HELM_PACKAGES)
	@touch $@

test-helm: $(HELM_VENV)/.created ## Render the Helm chart and check what it makes.
	$(HELM_VENV)/bin/python -m pytest -c tests/helm_chart/pytest.ini tests/helm_chart -q $(ARGS)

# Prometheus' rules and Alertmanager's routes; needs Debian's prometheus and prometheus-alertmanager.
test-monitoring: $(VENV)/.test ## Check that every alert fires with its fault and not without.
	$(BIN)/python -m pytest -c tests/monitoring/pytest.ini tests/monitoring/check_rules.py -q $(ARGS)

# Needs Debian's prometheus and prometheus-alertmanager. Some scenes: ARGS="-k 'overload or pair'".
test-alerts: $(VENV)/.test ## Fire every alert by a real fault, and see it end; takes 15 minutes.
	$(BIN)/python -m pytest -c tests/monitoring/pytest.ini tests/monitoring/check_faults.py -q -s $(ARGS)

# The server's packages in an environment of their own, as the image has them, and what lists them.
SERVED_VENV := .venv-served
SUPPLY_VENV := .venv-supply
SBOM ?= out/sbom.cdx.json
$(SERVED_VENV)/.created: pyproject.toml $(LOCK) | $(VENV)/.created
	$(BIN)/python -m venv --clear $(SERVED_VENV)
	$(SERVED_VENV)/bin/python -m pip --disable-pip-version-check --quiet install -c $(LOCK) '.[serve,gateway,otel,redis]'
	$(SERVED_VENV)/bin/python -m pip --disable-pip-version-check --quiet uninstall --yes setuptools pip
	@touch $@

$(SUPPLY_VENV)/.created: | $(VENV)/.created
	$(BIN)/python -m venv --clear $(SUPPLY_VENV)
	$(SUPPLY_VENV)/bin/python -m pip --disable-pip-version-check --quiet install \
	  cyclonedx-bom==7.5.0 pip-audit==2.10.1
	@touch $@

sbom: $(SERVED_VENV)/.created $(SUPPLY_VENV)/.created ## List what a server installs, as CycloneDX, in out/sbom.cdx.json.
	@mkdir -p $(dir $(SBOM))
	$(SUPPLY_VENV)/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application \
	  --output-reproducible --validate -o $(SBOM) $(SERVED_VENV)/bin/python

audit: $(SUPPLY_VENV)/.created ## Look for known vulnerabilities of the locked packages; needs the internet.
	$(SUPPLY_VENV)/bin/pip-audit --strict --requirement $(LOCK) --no-deps --disable-pip $(ARGS)

# README's commands in containers that have nothing; needs podman. See tests/fresh/README.md.
BASES ?= bookworm
test-fresh: ## Run the README's commands in containers that have nothing.
	@python3 tests/fresh $(ARGS) $(BASES)

# docker-compose.yml by podman-compose; needs podman. See tests/compose/README.md.
COMPOSE_VENV := .venv-compose
$(COMPOSE_VENV)/.created:
	python3 -m venv --clear $(COMPOSE_VENV)
	$(COMPOSE_VENV)/bin/python -m pip --disable-pip-version-check --quiet install \
	  podman-compose==1.6.0 check-jsonschema==0.39.0 pyyaml
	@touch $@

test-compose: $(COMPOSE_VENV)/.created ## Run docker-compose.yml by podman: chat, scrape, load, stop.
	@$(COMPOSE_VENV)/bin/python tests/compose $(ARGS)

test-compose-faults: $(COMPOSE_VENV)/.created ## Kill, pause, starve, cut off and fill the containers of docker-compose.yml.
	@$(COMPOSE_VENV)/bin/python tests/compose --only faults $(ARGS)

test-image-twice: ## Build the image for CPUs twice from nothing and compare the files.
	@python3 tests/compose/twice.py $(ARGS)

# Needs Debian's package prometheus, and chromium to draw: ARGS='--draw FOLDER'.
test-dashboards: $(VENV)/.test ## Ask a real Prometheus every query of the dashboards.
	$(BIN)/python tests/dashboards $(ARGS)

# Needs chromium; playwright, which steers it, has 165 MB. PICTURES=FOLDER keeps screenshots.
$(VENV)/.page: $(VENV)/.test
	$(PIP) install -c $(LOCK) playwright
	@touch $@

test-page: $(VENV)/.page ## Use the gateway's chat page and /docs in a headless Chromium.
	$(BIN)/python -m pytest -c tests/page/pytest.ini tests/page -q $(ARGS)

# It wants another numpy than the server: an environment of its own.
AICONFIGURATOR := 0.12.0
AICONFIGURATOR_VENV := .venv-aiconfigurator
$(AICONFIGURATOR_VENV)/.$(AICONFIGURATOR): | $(VENV)/.created
	$(BIN)/python -m venv --clear $(AICONFIGURATOR_VENV)
	$(AICONFIGURATOR_VENV)/bin/python -m pip --disable-pip-version-check --quiet install \
	  aiconfigurator==$(AICONFIGURATOR)
	@touch $@

test-second-opinion: $(VENV)/.test $(AICONFIGURATOR_VENV)/.$(AICONFIGURATOR) ## Ask aiconfigurator itself beside `gemma4 plan`.
	AICONFIGURATOR=$(CURDIR)/$(AICONFIGURATOR_VENV)/bin/aiconfigurator \
	  $(BIN)/python -m pytest -c tests/second_opinion/pytest.ini tests/second_opinion -q $(ARGS)

# The GPU image on stand-ins of NVIDIA's; needs podman. See tests/gpu_image/README.md.
test-gpu-image: ## Build deploy/docker/Dockerfile on stand-ins of its base, and serve.
	@python3 tests/gpu_image $(ARGS)

# Other people's clients, each in an environment of its own. See tests/ecosystem/README.md.
test-clients: $(VENV)/.test ## Run LiteLLM, LangChain, Codex CLI and others against a real server.
	@$(BIN)/python tests/ecosystem $(ARGS)

# COUNT requests of each of Triton's four protocols and of the gateway, and the hand-made bombs.
COUNT ?= 20000
test-fuzz: $(VENV)/.dev ## Send 20,000 mutated requests of each protocol.
	FUZZ_COUNT=$(COUNT) $(BIN)/python -m pytest tests/e2e/fuzz \
	  tests/clients/gateway/test_gateway_mutations.py tests/clients/gateway/test_gateway_bombs.py -s $(ARGS)

RANDOM ?= 10000
test-random: $(VENV)/.dev ## Send 10,000 random requests by every way and compare the answers.
	RANDOM_COUNT=$(RANDOM) $(BIN)/python -m pytest tests/e2e/mixed -s $(ARGS)

# Every process of a server, killed and frozen in every phase: a table, an hour.
FAULTS ?= out/faults.md
test-faults: $(VENV)/.dev ## Kill and freeze every process in every phase; takes an hour.
	@mkdir -p $(dir $(FAULTS))
	$(BIN)/python -m gemma4_testing.faults.matrix --out $(FAULTS) $(ARGS)

test-restarts: $(VENV)/.dev ## Stop and restart servers and gateways under load, six times each.
	$(BIN)/python -m gemma4_testing.endurance.restarts $(ARGS)

# Exit status 1: something grows, failed or was lost; 3: too short or too disturbed to say.
MINUTES ?= 30
soak: $(VENV)/.dev ## Send mixed requests for MINUTES (30), and say whether anything grows.
	$(BIN)/python -m gemma4_testing.endurance.soak --minutes $(MINUTES) $(ARGS)

RANDOM_ENGINE := engines/random-1gb
$(RANDOM_ENGINE)/engine.json: | $(VENV)/.dev
	rm -rf $(RANDOM_ENGINE)-checkpoint
	$(BIN)/python -m gemma4_build.random_checkpoint --preset 1gb --tokenizer demo/checkpoint \
	  $(RANDOM_ENGINE)-checkpoint
	$(GEMMA4) build $(RANDOM_ENGINE)-checkpoint --out $(RANDOM_ENGINE) --precision bf16 \
	  --slots 32 --max-total-tokens 512 --skip-verify

bench-clients: $(VENV)/.dev ## Measure the Python SDK against bare tritonclient.
	$(BIN)/python bench/clients.py $(ARGS)

bench-nvidia: $(VENV)/.dev ## Measure NVIDIA's ensemble of the overlay against gemma4.
	$(BIN)/python bench/nvidia_ensemble.py $(ARGS)

bench: $(VENV)/.dev $(ENGINE)/engine.json $(RANDOM_ENGINE)/engine.json ## Measure llama.cpp alone and through Triton.
	$(BIN)/python bench/engine.py --engine $(ENGINE) $(ARGS)
	$(BIN)/python bench/engine.py --engine $(RANDOM_ENGINE) $(ARGS)

# 15 GB of disk and 20 GB of memory; ARGS='--preset 4gb --layers 8' for 1 GB of each.
bench-26b: $(VENV)/.dev ## Measure llama.cpp with the 26B's full shapes, alone and through Triton.
	$(BIN)/python bench/full_size.py $(ARGS)

bench-host: $(VENV)/.dev ## Measure everything around the engine with up to 512 streams.
	$(BIN)/python bench/host.py $(ARGS)

# AIPerf brings more than a hundred packages: they get an environment of their own.
AIPERF := 0.13.0
AIPERF_VENV := .venv-aiperf
$(AIPERF_VENV)/.$(AIPERF): | $(VENV)/.created
	$(BIN)/python -m venv --clear $(AIPERF_VENV)
	$(AIPERF_VENV)/bin/python -m pip --disable-pip-version-check --quiet install aiperf==$(AIPERF)
	@touch $@

bench-agreement: $(VENV)/.dev $(AIPERF_VENV)/.$(AIPERF) ## Compare `gemma4 load` with AIPerf and locust.
	$(BIN)/python bench/agreement.py $(ARGS)

bench-host-ttft: $(VENV)/.dev ## Measure the time to the first token around the engine.
	$(BIN)/python bench/host_ttft.py $(ARGS)

bench-overload: $(VENV)/.dev ## Send five times the capacity by each protocol for two minutes.
	$(BIN)/python bench/overload.py $(ARGS)

bench-meter: $(VENV)/.dev ## Check `gemma4 load` against an engine of known pace.
	$(BIN)/python bench/meter.py $(ARGS)

bench-plan: $(VENV)/.dev ## Check `gemma4 plan simulate` against what `gemma4 load` measures.
	$(BIN)/python bench/plan_proof.py $(ARGS)

bench-plan-scale: $(VENV)/.dev ## Measure what a simulation of up to 1,000 replicas costs.
	$(BIN)/python bench/plan_scale.py $(ARGS)

clean: ## Remove what was installed, built and cached.
	rm -rf $(VENV) .venv-pythons $(AIPERF_VENV) $(AICONFIGURATOR_VENV) $(XGRAMMAR_VENV) $(HELM_VENV) $(DYNAMO_VENV) $(COMPOSE_VENV) $(SERVED_VENV) $(SUPPLY_VENV) engines .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
