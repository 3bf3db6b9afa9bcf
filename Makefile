# `make help` lists the targets. n2nlib decides from content hashes what is out of date, not make.

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
READY  := $(VENV)/.ready

# PROFILE=smoke|quick|overnight|paper|paper-bf16  DATASET=bundled|imagenet-sample|folder:PATH|epfl:PATH
# DEVICE=auto|cpu|cuda    EXECUTOR=local|dask|dask:tcp://HOST:PORT    CHAPTER=03  re-execute that chapter
CHOICES := PROFILE DATASET DEVICE EXECUTOR CHAPTER
# FRESH=1 re-execute and retrain  TRAIN=0 show the stored runs  EMULATE=1 bf16 even where the CPU emulates it
SWITCHES := FRESH TRAIN EMULATE

# A shell reads choices from its environment as they were typed: a path may hold spaces, quotes and $.
$(foreach v,$(CHOICES),$(eval override $v := $$(value $v)))
export $(CHOICES)
option   = $${$1:+--$2="$$$1"}
switch   = $(if $(filter $1,$(value $2)),--$3)
dataset  = $(call option,DATASET,dataset)
device   = $(call option,DEVICE,device)
size     = $(call option,PROFILE,profile) $(dataset) $(device) $(call switch,1,EMULATE,emulate-bf16)
options  = $(size) $(call option,EXECUTOR,executor) $(call option,CHAPTER,chapter) \
           $(call switch,1,FRESH,fresh) $(call switch,0,TRAIN,no-train)

# A misspelt variable or value would be ignored in silence.
$(foreach v,$(SWITCHES),$(if $(filter-out 0 1,$($v))$(word 2,$($v)),$(error \
    $v is '$($v)' and can be 0 or 1 only: write one of them, or leave $v out)))
KNOWN := $(CHOICES) $(SWITCHES) PYTHON VENV
TYPED := $(foreach v,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $v))),$v))
$(foreach v,$(filter-out $(KNOWN) MAKE% -%,$(TYPED)),$(error unknown variable $v: $(shell $(PYTHON) -c \
    "import difflib, sys; near = difflib.get_close_matches(sys.argv[1].upper(), sys.argv[2:], 1, 0.5); \
    print(f'did you mean {near[0]}?' if near else '')" '$v' $(KNOWN)) Choose one of $(KNOWN)))

.DEFAULT_GOAL := help
.PHONY: help report plan test test-browser test-numbers campaign lab bench verify search notebooks clean lock

help:       ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-14s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

report: $(READY)     ## make the report: results/<dataset>-<profile>/report.html and report.pdf
	@$(PY) -m n2nlib report $(options)

plan: $(READY)       ## say what `make report` would do, and why
	@$(PY) -m n2nlib plan $(options)

test: $(READY)       ## run the tests: pytest, and nbval over the committed notebooks
	@$(PY) -m pytest -n 2 --dist loadfile --nbval-lax notebooks tests

test-browser: $(READY) ## run the tests in Debian's Chromium: JupyterLab and report.html
	@$(PY) -m pytest -q -m browser tests

test-numbers: $(READY) ## run the tests whose numbers could depend on the processor, nbval included
	@$(PY) -m pytest -q -n 2 --dist loadfile --nbval-lax notebooks $(NUMBERS)

campaign: $(READY)   ## run the slow tests: all chapters on many odd folders of photographs
	@$(PY) -m pytest -q -m campaign tests

lab: $(READY)        ## open JupyterLab on the chapters (this machine only, with a token)
	@$(PY) -m jupyter lab --config=n2nlib/tools/lab/config.json $(if $(filter 0,$(shell id -u)),--allow-root)

bench: $(READY)      ## print images/s and pairs/s beside a plain textbook loop (DEVICE=)
	@$(PY) -m n2nlib bench $(device)

verify: $(READY)     ## retrain a sample of the stored runs and compare (DATASET=, DEVICE=)
	@$(PY) -m n2nlib verify $(dataset) $(device)

search: $(READY)     ## look for a better small network on training photographs (PROFILE=, DATASET=, DEVICE=)
	@$(PY) -m n2nlib search $(size)

notebooks: $(READY)  ## execute the chapters in place, so that they are committed with their outputs
	@$(PY) -m n2nlib notebooks

clean:               ## remove every report and cache; stored runs stay
	@$(PYTHON) -m n2nlib clean

NUMBERS := tests/training tests/models tests/test_semantics.py tests/test_denoising.py tests/test_pretrained.py \
    $(patsubst %,tests/%.py,evaluation/test_smoothgrad evaluation/test_saliency analysis/test_real_images)

# An environment says in .ready where it was made; in another place it is repaired.
MOVED := $(shell p=$$(head -n 1 $(READY) 2>/dev/null); \
    [ "$$p" = "$$(cd "$(VENV)" 2>/dev/null && pwd -P)" ] || echo FORCE)
$(READY): requirements.lock pyproject.toml $(MOVED)
	@$(PYTHON) -m n2nlib.install $(VENV)

lock:                ## write requirements.lock again from pyproject.toml (for developers; needs uv)
	@uv pip compile --quiet --universal --python-version 3.11 --extra all --no-annotate \
	    --custom-compile-command 'make lock' -o requirements.lock pyproject.toml

FORCE:
