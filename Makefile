# All that a reader needs; `make help` lists it. What is stale is decided by content in n2nlib.report, not by make.

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
READY  := $(VENV)/.ready

# PROFILE=smoke|quick|overnight|paper|paper-bf16  CORPUS=bundled|imagenet-sample|folder:PATH|epfl:PATH
# DEVICE=auto|cpu|cuda  EXECUTOR=local|dask|dask:tcp://HOST:PORT  CHAPTER=03 (re-execute that chapter)  FRESH=1 (re-execute and retrain everything)
# TRAIN=0 (train nothing: show what is stored)  EMULATE=1 (train in bf16 even where the CPU emulates it)
# A shell reads these from its environment as they were typed: a path may hold spaces, quotes and $.
override PROFILE  := $(value PROFILE)
override CORPUS   := $(value CORPUS)
override DEVICE   := $(value DEVICE)
override EXECUTOR := $(value EXECUTOR)
override CHAPTER  := $(value CHAPTER)
export PROFILE CORPUS DEVICE EXECUTOR CHAPTER

given   = $${$1:+--$2="$$$1"}
corpus  = $(call given,CORPUS,corpus)
device  = $(call given,DEVICE,device)
size    = $(call given,PROFILE,profile) $(corpus) $(device) $(if $(call flag,EMULATE,1),--emulate-bf16)
options = $(size) $(call given,EXECUTOR,executor) $(call given,CHAPTER,chapter) $(if $(call flag,FRESH,1),--fresh)
train   = $(if $(call flag,TRAIN,0),N2N_TRAIN=0)
flag    = $(if $(filter-out 0 1,$($1))$(word 2,$($1)),$(error $1 is '$($1)' and can be 0 or 1 only: write one of them, or leave $1 out))$(filter $2,$($1))

.DEFAULT_GOAL := help
.PHONY: help report plan test lab bench verify search notebooks clean

help:       ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

report: $(READY)     ## make the report: results/<corpus>-<profile>/report.html and report.pdf
	@$(train) $(PY) -m n2nlib.report make $(options)

plan: $(READY)       ## say what `make report` would do, and why
	@$(train) $(PY) -m n2nlib.report plan $(options)

test: $(READY)       ## run the tests: pytest, and nbval over the committed notebooks
	@$(PY) -m pytest -n 2 --dist loadfile --nbval-lax notebooks tests

lab: $(READY)        ## open JupyterLab on the chapters (this machine only, with a token)
	@$(PY) -m jupyter lab --ip=127.0.0.1 --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks \
	    $(if $(filter 0,$(shell id -u)),--allow-root)

bench: $(READY)      ## print images/s and pairs/s beside a plain textbook loop (DEVICE=)
	@$(PY) -m n2nlib.bench $(device)

verify: $(READY)     ## retrain a sample of the stored runs and compare (CORPUS=, DEVICE=)
	@$(PY) -m n2nlib.verify $(corpus) $(device)

search: $(READY)     ## look for a better small network on training photographs (PROFILE=, CORPUS=, DEVICE=)
	@$(PY) -m n2nlib.search $(size)

notebooks: $(READY)  ## execute the chapters in place at smoke size, so that they are committed with their outputs
	@$(PY) -m n2nlib.report notebooks

clean:               ## remove every report and cache; stored runs stay
	@$(PYTHON) -m n2nlib.report clean

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("This needs Python 3.11 or later: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[lab,test,search,dask]'
	$(PY) -m n2nlib.report kernel
	@touch $@
