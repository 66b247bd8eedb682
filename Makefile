# What people and CI run. A command selects the whole workspace (`--workspace`) and narrows it by target, so
# that cargo unifies features in one way and compiles nothing twice; `-p` would choose other features.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

CARGO_TEST := cargo test --workspace --locked
# The test programs that run by name alone: `--all-targets` leaves them out.
BY_NAME := --test admit --test chart --test cluster --test soak
BUILT := target/debug

# This machine's architecture, by Debian's name, and that of the programs: `make dist ARCH=arm64`.
HOST_ARCH := $(patsubst x86_64,amd64,$(patsubst aarch64,arm64,$(shell uname -m)))
ARCH ?= $(HOST_ARCH)
ifeq ($(ARCH),$(HOST_ARCH))
# What ships is static: musl where it can be had. Looked up when a recipe needs it, not before.
STATIC = $(shell tests/tools/static-target.sh)
DIST := target/dist
CROSS :=
else
STATIC := $(patsubst amd64,x86_64,$(patsubst arm64,aarch64,$(ARCH)))-unknown-linux-musl
DIST := target/dist/$(ARCH)
CROSS := tests/tools/cross.sh $(ARCH)
endif
# And the same from the same source, wherever it is built: no path of this machine is in it.
CARGO_AT = $(abspath $(or $(CARGO_HOME),$(HOME)/.cargo))
STATIC_RUSTFLAGS = -C target-feature=+crt-static --remap-path-prefix=$(CURDIR)=/gitvolume --remap-path-prefix=$(CARGO_AT)=/cargo
STATIC_CFLAGS = -ffile-prefix-map=$(CURDIR)=/gitvolume -ffile-prefix-map=$(CARGO_AT)=/cargo
# C may put the time of its build into what it makes (`__TIME__`); compilers take this one for it.
STATIC_EPOCH = $(or $(SOURCE_DATE_EPOCH),0)
STATIC_ENV = SOURCE_DATE_EPOCH=$(STATIC_EPOCH) CARGO_TARGET_$(shell tr a-z- A-Z_ <<<$(STATIC))_RUSTFLAGS="$(STATIC_RUSTFLAGS)" \
	CFLAGS_$(shell tr - _ <<<$(STATIC))="$(STATIC_CFLAGS)"
# `remotes` needs no feature that the programs lack, so their bytes are the same with and without it.
STATIC_PACKAGES = --locked --target $(STATIC) --package webhook --package cli --package syncer --package remotes

.PHONY: help
help: ## Print what each target does
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: demo
demo: prerequisites-demo ## Show the product work, without a cluster; REPO=URL follows a repository of yours
	@[[ -x $(BUILT)/gitvolume-syncer ]] || echo "make demo: building both programs, about 3 minutes the first time"
	@cargo build --workspace --locked --bin demo --bin gitvolume-syncer
	@$(BUILT)/demo --syncer $(BUILT)/gitvolume-syncer --example examples/nginx/pod.yaml $(if $(REPO),--repo=$(REPO))

.PHONY: test
test: prerequisites-test ## Run every test that needs no cluster, as root or as an ordinary user
	@echo "make test: about 8 minutes the first time, 4 later, on two cores"
	@rm -rf target/not-run
	$(CARGO_TEST) --tests --no-fail-fast
	@tests/tools/not-covered.sh

.PHONY: fuzz
fuzz: prerequisites-test ## Feed random input to the parsers that read from the network; MINUTES=10 for each of them
	GITVOLUME_FUZZ_MINUTES=$(MINUTES) $(CARGO_TEST) --lib --test inject -- fuzzing:: --nocapture

.PHONY: check
check: format lint structure language deny docs platforms ## Check formatting, lints, layers, wording, dependencies, documentation and platforms

.PHONY: format
format: ## Check the formatting
	cargo fmt --all --check

.PHONY: lint
lint: ## Check with clippy, warnings denied; the syncer also without its poller
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --workspace --locked $(BY_NAME) -- -D warnings
	cargo clippy --workspace --locked --no-default-features --bin gitvolume-syncer -- -D warnings

.PHONY: platforms
platforms: ## Check that the command line compiles for the platforms whose C compiler is here
	@tests/tools/check-platforms.sh

.PHONY: structure
structure: ## Check that imports point one way: no cycle between files, none between the folders of a crate
	$(CARGO_TEST) --test no-cluster -- structure::

.PHONY: language
language: ## Check that pages, messages and comments use the terms of the field
	$(CARGO_TEST) --test no-cluster -- language::

# Bans, licences and sources always; advisories where their database can be reached.
.PHONY: deny
deny: ## Check the dependencies against deny.toml
	@deny=$$(tests/tools/cargo-deny.sh) && set -x && "$$deny" --all-features --locked check bans licenses sources
	@deny=$$(tests/tools/cargo-deny.sh); \
	if timeout 60 "$$deny" fetch db >/dev/null 2>&1; then "$$deny" --locked check advisories; \
	else echo "advisories: not checked, their database cannot be reached from here"; fi

.PHONY: docs
docs: ## Build the documentation of the code, warnings denied
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

.PHONY: site
site: ## Build the documentation as a searchable site into target/site/book
	@tests/tools/site.sh

.PHONY: pictures
pictures: ## Take the pictures of the dashboard, the alerts and the status page in docs/images again
	@tests/tools/prerequisites.sh pictures
	tests/tools/build.sh etcd kube-apiserver kubectl helm
	@$(MAKE) --no-print-directory dist dist-tests
	tests/tools/pictures/run.sh

.PHONY: test-cluster
test-cluster: ## Run the tests on real API servers and a real node; ONLY=NAME selects some, KUBECONFIG=… takes your cluster
	@tests/tools/announce.sh
	@$(MAKE) --no-print-directory prerequisites
	# Together: the programs are linked on one core, the tools are compiled on all.
	@$(MAKE) --no-print-directory --jobs=2 tools dist
	@$(MAKE) --no-print-directory dist-tests
	@rm -rf target/not-run
ifeq ($(ONLY),)
	$(CARGO_TEST) --test no-cluster --lib
	@tests/tools/not-covered.sh none-missing
	[[ $$(id -u) != 0 ]] || $(CARGO_TEST) --test syncer -- --ignored
endif
	$(CARGO_TEST) --no-fail-fast --test admit --test chart --test cluster -- $(ONLY)

.PHONY: bench
bench: prerequisites dist dist-tests tools ## Print what both programs cost, beside their peers in PEERS=DIR; PART=syncer for one table
	$(STATIC_ENV) $(if $(PEERS),PEERS="$(abspath $(PEERS))" )cargo bench $(STATIC_PACKAGES) --package tests --no-default-features --bench figures -- $(PART)

MINUTES ?= 10
CRASHES ?= 2000
HISTORIES ?= 300

.PHONY: soak
soak: prerequisites tools dist ## A commit a second for MINUTES=10, CRASHES=2000 kills, HISTORIES=300 compared with clones, rotated certificates
	$(CARGO_TEST) --test soak -- $(MINUTES)
	GITVOLUME_CRASHES=$(CRASHES) $(CARGO_TEST) --test syncer -- crashes:: --nocapture
	GITVOLUME_HISTORIES=$(HISTORIES) $(CARGO_TEST) --test syncer -- linked::differential
	GITVOLUME_ROTATION_SECONDS=120 GITVOLUME_ROTATION_RATE=200 $(CARGO_TEST) --test admit -- newest::rotation
	GITVOLUME_ROTATION_SECONDS=120 $(CARGO_TEST) --test cluster -- certificates::no_admission

.PHONY: dist
dist: ## Build the three programs, static and optimised, into target/dist; ARCH=arm64 for another machine
	@mkdir -p $(DIST)
	$(STATIC_ENV) $(CROSS) cargo build --release $(STATIC_PACKAGES) --bin gitvolume-webhook --bin gitvolume --bin gitvolume-syncer
	@cp -u $(addprefix target/$(STATIC)/release/,gitvolume-webhook gitvolume gitvolume-syncer) $(DIST)/

# What the node's tests put into an image of their own, and what the benchmark measures beside the server.
.PHONY: dist-tests
dist-tests:
	@mkdir -p $(DIST)
	$(STATIC_ENV) cargo build --release $(STATIC_PACKAGES) --bin git-http --bin constant
	@cp -u $(addprefix target/$(STATIC)/release/,git-http constant) $(DIST)/

.PHONY: sbom
sbom: licenses

.PHONY: licenses
licenses: ## Write what is linked into the programs into target/dist: licences, and bills of materials (CycloneDX)
	@cargo build --quiet --workspace --locked --bin licenses
	@$(BUILT)/licenses $(DIST)

# The release workflow packs the programs of the other platforms with the same scripts.
.PHONY: archives
archives: dist licenses ## Pack the command line into target/release-VERSION, with checksums and a krew manifest
	tests/tools/archive.sh linux $(ARCH) $(DIST)/gitvolume
	tests/tools/krew.sh

.PHONY: reproducible
reproducible: prerequisites ## Build the programs twice, at different places: the bytes are the same
	tests/tools/reproducible.sh

# Of which architectures images are: an OCI index names each.
ARCHES ?= $(HOST_ARCH)

.PHONY: images
images: ## Build both images as OCI archives into target/images, without a daemon; ARCHES="amd64 arm64" for both
	@for arch in $(ARCHES); do tests/tools/debian-root.sh $$arch; $(MAKE) --no-print-directory dist ARCH=$$arch; done
	@cargo build --quiet --workspace --locked --bin images
	$(BUILT)/images target/images $(ARCHES)

.PHONY: images-arm64
images-arm64: ## Build the images of both architectures, and run those for arm64 under QEMU
	@tests/tools/prerequisites.sh images-arm64
	@$(MAKE) --no-print-directory images ARCHES="amd64 arm64"
	tests/tools/run-image.sh arm64

.PHONY: release
release: ARCHES = amd64 arm64
release: $(if $(STEPS),,dist licenses images) ## Put a release under target/release-VERSION, with checksums; STEPS="chart site" packs some parts
	@tests/tools/release.sh $(STEPS)

.PHONY: publish
publish: ## Push a release's images and chart to REGISTRY, and sign them; DRY_RUN=1 prints the commands
	@tests/tools/publish.sh $(REGISTRY)

.PHONY: tools
tools: ## Build or fetch the programs that the tests run: Kubernetes' and mdBook
	tests/tools/build.sh
	@tests/tools/mdbook.sh >/dev/null

.PHONY: prerequisites
prerequisites: ## Install Debian's packages that test-cluster needs, as root, or print which are missing
	@tests/tools/prerequisites.sh test-cluster

.PHONY: prerequisites-demo
prerequisites-demo:
	@tests/tools/prerequisites.sh demo

.PHONY: prerequisites-test
prerequisites-test:
	@tests/tools/prerequisites.sh test

.PHONY: goldens
goldens: ## Rewrite the golden files and the generated tables from what the code does now
	UPDATE_GOLDENS=1 $(CARGO_TEST) --quiet --lib --test goldens --test inject --test webhook --test no-cluster
	git diff --stat
