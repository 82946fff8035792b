# make help     says what to run first, and lists all targets

PYTHON ?= python3
CORES ?= 4
GPUS ?= 4
STUDY ?=
SECONDS ?= 300
SEED ?=
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
LLAMA := .llama-cpp
LLAMA_SOURCE := https://files.pythonhosted.org/packages/ec/e9/e7de2b0463ea3ffbf0ede6cb21b58c1258a8f6521aae45ca773a59fe7cf3/llama_cpp_python-0.3.36.tar.gz

.PHONY: setup-llama-cpp setup-slurm help setup report doctor dry-run test test-all faults lint format audit clean

help:  ## say what to run first, and list the targets
	@echo "First: make report    sets everything up, runs the built-in study and ends with its answer and the page to open"
	@echo "                      (6 to 15 minutes on two cores, and some for the libraries the first time)"
	@echo "Then:  make doctor STUDY=config/studies/<study>.yaml    what this machine can run of a study, and how long it takes"
	@echo "       make test      the style and the tests, in 15 to 25 minutes on two cores"
	@echo
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(VENV)/.ready: envs/requirements.txt envs/requirements-serving.txt envs/requirements-test.txt envs/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r envs/requirements-test.txt
	@echo '$(CURDIR)' > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/udaciheadline.pth"
	@touch $@

setup: $(VENV)/.ready  ## make the virtual environment with the pinned libraries

setup-llama-cpp: setup  ## build llama.cpp's server into .llama-cpp for its optional test (20 minutes on two cores; needs cmake and a compiler)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r envs/requirements-llama-cpp.txt
	mkdir -p $(LLAMA)
	test -d $(LLAMA)/source || { curl -fsSL $(LLAMA_SOURCE) | tar -xz -C $(LLAMA) && mv $(LLAMA)/llama_cpp_python-*/vendor/llama.cpp $(LLAMA)/source; }
	cmake -S $(LLAMA)/source -B $(LLAMA)/build -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF \
	  -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF
	cmake --build $(LLAMA)/build --target llama-server -j 2

setup-slurm: setup  ## install Snakemake's executor for Slurm into .slurm for its test (which needs slurm-wlm and munge, and root)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .slurm -r envs/requirements-slurm.txt

report: setup  ## run the study to results/report.html (STUDY=config/studies/<study>.yaml for another)
	@$(BIN)/python -m scripts.ready
	$(BIN)/snakemake --cores $(CORES) --resources gpu=$(GPUS) $(if $(STUDY),--configfile $(STUDY))

doctor: setup  ## say what this machine can run of the study and what not, and what it will take
	@$(BIN)/python -m scripts.doctor $(if $(STUDY),--configfile $(STUDY))

dry-run: setup  ## show what would run, and why
	$(BIN)/snakemake -n --cores $(CORES) $(if $(STUDY),--configfile $(STUDY))

lint: setup  ## check style and imports: ruff, import-linter, snakefmt, snakemake --lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

format: setup  ## put the code into the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

test: lint  ## check style and run the tests but the slow ones
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-all: test  ## the same, and then the slow tests
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

faults: setup  ## run the fault campaigns, each for SECONDS=300 at most; SEED=… repeats the choices of an earlier call
	FAULTS_SECONDS=$(SECONDS) FAULTS_SEED=$(SEED) $(BIN)/python -m pytest tests/faults -m faults

audit: setup  ## look the pinned libraries up for known vulnerabilities, and their licences (needs a network)
	$(PYTHON) -m venv .audit
	.audit/bin/python -m pip install --quiet --disable-pip-version-check -r envs/requirements-audit.txt
	.audit/bin/pip-audit --path "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
	.audit/bin/pip-licenses --python=$(BIN)/python --from=mixed --partial-match --fail-on="Affero;AGPL;GPLv3;GPL-3.0"

clean:  ## remove the results (the virtual environment stays)
	find results -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +
	rm -rf .snakemake
