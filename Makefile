# What people and CI run: demo, test, bench, soak. Everything they need beyond Rust, Go, git, make and a
# C compiler is installed from Debian's packages (as root) or built, and cached under target/.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

TOOLS := target/tools
CARGO_DENY := $(TOOLS)/cargo/bin/cargo-deny
CARGO_DENY_VERSION := 0.20.2

# What ships is static: musl where it can be had. Asked when a recipe needs it, not before.
STATIC = $(shell tests/tools/static-target.sh)
# And the same from the same source, wherever it is built: no path of this machine is in it.
CARGO_AT = $(abspath $(or $(CARGO_HOME),$(HOME)/.cargo))
STATIC_RUSTFLAGS = -C target-feature=+crt-static --remap-path-prefix=$(CURDIR)=/gitvolume --remap-path-prefix=$(CARGO_AT)=/cargo
STATIC_CFLAGS = -ffile-prefix-map=$(CURDIR)=/gitvolume -ffile-prefix-map=$(CARGO_AT)=/cargo
# C may put the time of its build into what it makes (`__TIME__`); compilers take this one for it.
STATIC_EPOCH = $(or $(SOURCE_DATE_EPOCH),0)
STATIC_BUILD = SOURCE_DATE_EPOCH=$(STATIC_EPOCH) CARGO_TARGET_$(shell tests/tools/static-target.sh | tr a-z- A-Z_)_RUSTFLAGS="$(STATIC_RUSTFLAGS)" \
	CFLAGS_$(shell tests/tools/static-target.sh | tr - _)="$(STATIC_CFLAGS)" \
	cargo build --release --locked --target $(STATIC)
DIST := target/dist

.PHONY: help
help: ## Say what each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: demo
demo: prerequisites-demo dist ## Show it work, without a cluster; REPO=URL takes a repository of yours
	@$(DIST)/gitvolume demo --syncer $(DIST)/gitvolume-syncer --example examples/web.yaml $(if $(REPO),--repo=$(REPO))

.PHONY: test
test: prerequisites format lint deny docs unit tools dist test-cluster ## Run every check there is; what CI runs

.PHONY: format
format: ## Check the formatting
	cargo fmt --all --check

.PHONY: lint
lint: ## Check with clippy, warnings denied
	cargo clippy --workspace --all-targets --locked -- -D warnings

# Bans, licences and sources always; advisories where their database can be reached.
.PHONY: deny
deny: $(CARGO_DENY) ## Check the dependencies against deny.toml
	$(CARGO_DENY) --all-features --locked check bans licenses sources
	@if timeout 60 $(CARGO_DENY) fetch db >/dev/null 2>&1; then $(CARGO_DENY) --locked check advisories; \
	else echo "advisories: not checked, their database cannot be reached from here"; fi

$(CARGO_DENY):
	cargo install --quiet --locked --root $(TOOLS)/cargo cargo-deny@$(CARGO_DENY_VERSION)

.PHONY: docs
docs: ## Build the documentation, warnings denied
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

.PHONY: unit
unit: ## Unit, golden, property and single-program tests; no cluster
	cargo test --workspace --exclude tests --locked
	cargo test --package tests --lib --locked

.PHONY: test-cluster
test-cluster: tools dist dist-tests ## Tests on a real API server and a real node; KUBECONFIG=… takes your cluster
	cargo test --package tests --locked --test contract --test docs --test demo --test chart --test admit --test cluster

.PHONY: bench
bench: prerequisites dist dist-bench tools ## Print what both programs cost, beside their peers in PEERS=DIR; PART=syncer for one table
	$(if $(PEERS),PEERS="$(abspath $(PEERS))" )cargo bench --package tests --bench figures --locked -- $(PART)

MINUTES ?= 10
CRASHES ?= 2000

.PHONY: soak
soak: prerequisites tools dist ## A commit a second for MINUTES=10, CRASHES=2000 kills, two minutes of rotated certificates
	cargo test --package tests --locked --test soak -- $(MINUTES)
	GITVOLUME_CRASHES=$(CRASHES) cargo test --package syncer --locked --test crashes -- --nocapture
	GITVOLUME_ROTATION_SECONDS=120 GITVOLUME_ROTATION_RATE=200 cargo test --package tests --locked --test admit -- newest::rotation
	GITVOLUME_ROTATION_SECONDS=120 cargo test --package tests --locked --test cluster -- certificates::no_admission

.PHONY: dist
dist: ## Build both programs, static and optimised, into target/dist
	@mkdir -p $(DIST)
	$(STATIC_BUILD) --package webhook --package syncer
	@cp -u target/$(STATIC)/release/gitvolume target/$(STATIC)/release/gitvolume-syncer $(DIST)/

.PHONY: sbom
sbom: licenses

.PHONY: licenses
licenses: ## Write what is linked into both programs into target/dist: licences, and bills of materials (CycloneDX)
	@cargo run --quiet --package tests --bin licenses --locked -- $(DIST)

.PHONY: reproducible
reproducible: prerequisites ## Build both programs twice, at different places: the bytes are the same
	tests/tools/reproducible.sh

# What the benchmark measures `gitvolume serve` against: of the same build, hence the same packages.
.PHONY: dist-bench
dist-bench:
	@mkdir -p $(DIST)
	$(STATIC_BUILD) --package webhook --package syncer --example constant
	@cp -u target/$(STATIC)/release/examples/constant $(DIST)/

# What the tests put into an image of their own.
.PHONY: dist-tests
dist-tests:
	@mkdir -p $(DIST)
	$(STATIC_BUILD) --package remotes --bin git-http
	@cp -u target/$(STATIC)/release/git-http $(DIST)/

.PHONY: images
images: prerequisites tools dist ## Build both images as OCI archives into target/images, without a daemon
	cargo run --quiet --package tests --bin images --locked -- target/images

.PHONY: tools
tools: ## Build the Kubernetes programs that the tests run
	tests/tools/build.sh

.PHONY: prerequisites
prerequisites: ## Install Debian's packages that the tests need, as root, or say which are missing
	@tests/tools/prerequisites.sh test

.PHONY: prerequisites-demo
prerequisites-demo:
	@tests/tools/prerequisites.sh demo

.PHONY: goldens
goldens: ## Rewrite the golden files and the generated tables from what the code does now
	UPDATE_GOLDENS=1 cargo test --quiet --package args --package inject
	UPDATE_GOLDENS=1 cargo test --quiet --package webhook --lib metrics
	UPDATE_GOLDENS=1 cargo test --quiet --package webhook --test cli doctor
	git diff --stat
