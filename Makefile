# Everything there is to do with this repository. Needs Go alone, but where a
# target says otherwise.

export CGO_ENABLED ?= 0
GO ?= go
DATA ?= .data
ROLE ?= deployer
FUNC ?=
AZURITE ?=
FUZZTIME ?= 10m
KILLS ?= 1000
SEED ?= 1

.DEFAULT_GOAL := help
.PHONY: help run test check fmt vuln stage dist cli bench bench-batch bench-engine bench-experiment bench-learn bench-scale quality kill fuzz token azurite databases size clean

help: ## list what there is to do
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# What compiles little builds what compiles much, and shows how far it is.
BUILD = $(GO) run ./infra/local/build
LOCAL = $(DATA)/bin/local

run: ## everything on this machine, with the sample walked through; FUNC=func for a real Functions host, AZURITE=1 for Azurite
	@$(BUILD) -dist dist -local $(LOCAL)
	@$(LOCAL) run -staged -data $(DATA) $(if $(FUNC),-func $(FUNC)) $(if $(AZURITE),-azurite) $(if $(SAMPLE),-sample $(SAMPLE)) $(ARGS)

# The race detector is the one thing here that needs a C compiler. With it every
# seventh death of a batch job is tried; all of them are, once more, without.
RACE := $(if $(shell command -v cc || command -v gcc || command -v clang),-race)

test: azurite ## every test; with the race detector where there is a C compiler, against Azurite where there is npm
	@$(if $(RACE),,echo "no C compiler: without the race detector")
	CGO_ENABLED=$(if $(RACE),1,0) $(GO) test $(RACE) -shuffle=on -count=1 -timeout 60m ./...
	$(if $(RACE),$(GO) test -count=1 -timeout 60m -run 'Crash|everyCall|Formats' ./shared/batch)

check: ## format, vet, staticcheck, architecture rules
	@out="$$($(GO) tool gofumpt -l .)"; [ -z "$$out" ] || { echo "not formatted (make fmt):"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) test -count=1 ./shared/archtest ./shared/host/layout ./functions

fmt: ## format every file
	$(GO) tool gofumpt -w .

vuln: ## known vulnerabilities in what is called; needs the network
	$(GO) tool govulncheck ./...

stage: ## build dist/, the script root of the Functions host
	@$(BUILD) -dist dist $(ARGS)

# The same for this machine, whatever ARGS a target that needs it has.
dist:
	@$(BUILD) -dist dist

cli: dist ## the command line, .data/bin/portico: the handler under its own name
	@mkdir -p $(DATA)/bin && ln -sf $(abspath dist/handler) $(DATA)/bin/portico && echo $(DATA)/bin/portico

bench: dist ## start-up, and RRS beside a bare handler in the same run
	$(GO) run ./infra/bench $(ARGS)

bench-batch: dist ## a batch job of five million rows; PYTHON=python with pandas and xgboost for the same there
	$(GO) run ./infra/bench/batch $(if $(PYTHON),-rival $(PYTHON)) $(ARGS)

bench-engine: ## scoring beside XGBoost, LightGBM, ONNX Runtime and scikit-learn in the same run; needs gcc, Python and pip
	$(GO) run ./infra/bench/engine $(ARGS)

bench-experiment: ## a whole experiment on a million rows beside pandas and XGBoost in the same run; PYTHON=python with both
	$(GO) run ./infra/bench/experiment $(if $(PYTHON),-python $(PYTHON)) $(ARGS)

bench-learn: ## training boosted trees beside XGBoost in the same run; needs Python and pip
	$(GO) run ./infra/bench/learn $(ARGS)

bench-scale: ## what limits a batch job on up to 1,000 instances, by simulation against Azure Storage's published limits
	$(GO) run ./infra/bench/scale $(ARGS)

quality: ## learners beside the libraries that are their reference, on ten real tables
	$(GO) run ./infra/bench/learn/quality $(ARGS)

kill: ## kill -9 the handler at KILLS (1000) moments of batch jobs of fifty chunks; SEED=n for others
	$(GO) test ./functions -run '^TestKilled$$' -count=1 -timeout 1h -v -kills $(KILLS) -seed $(SEED)

fuzz: ## every fuzz target for FUZZTIME (10m)
	@sh infra/local/fuzz.sh $(FUZZTIME)

token: ## print a token of the local issuer; ROLE=reader, author, deployer, owner or operator
	@$(BUILD) -local $(LOCAL)
	@$(LOCAL) token -data $(DATA) -role $(ROLE)

azurite: ## install Azurite for the tests of the azure driver; needs Node and npm, and is skipped without
	@command -v npm >/dev/null && sh infra/local/azurite.sh || echo "no npm: tests against Azurite are skipped"

databases: ## install PostgreSQL and MariaDB for the tests against them; Debian and Ubuntu
	@sh infra/local/databases.sh

size: dist ## size of the handler, per dependency
	@$(GO) run ./infra/local size

clean: ## remove what was built and stored here
	rm -rf dist $(DATA)
