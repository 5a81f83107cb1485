# Conclave. `make` alone lists the targets; the comment behind each ## is its help.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
TOOL    := go tool -modfile=tools/go.mod
GOTEST  := $(TOOL) gotestsum --format pkgname --format-hide-empty-pkg --

# Packages that start goroutines; `make race` looks at these.
CONCURRENT := ./pkg/raft/... ./pkg/config/... ./pkg/client/... ./internal/...

# What the tests need besides Go, make and git: programs, and the Debian packages that hold them.
# The race detector needs a C compiler, the Kubernetes in test/kube the rest.
PROGRAMS := gcc runc ip nft nsenter ps
PACKAGES := gcc libc6-dev runc iproute2 nftables util-linux procps
missing   = $(strip $(foreach p,$(1),$(if $(shell command -v $(p) 2>/dev/null),,$(p))))
no-race   = $(call missing,gcc)
no-kube   = $(strip $(if $(filter Linux,$(shell uname -s)),,Linux) $(if $(filter 0,$(shell id -u)),,root) \
	$(call missing,$(filter-out gcc,$(PROGRAMS))))

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: bin/node bin/operator bin/conclave ## build the three programs into bin/

bin/%: FORCE
	CGO_ENABLED=0 go build -trimpath -ldflags '-X main.version=$(VERSION)' -o $@ ./cmd/$*

.PHONY: run
run: bin/node ## a cluster of three nodes on this machine, in the foreground, data in data/
	bin/node dev --dir data

.PHONY: check
check: fmt-check vet lint arch fresh unit ## everything that is quick: about two minutes

.PHONY: test
test: check race e2e ## everything that this machine can run; says what it skipped, and why

.PHONY: fmt fmt-check
fmt: ## format all Go source
	gofmt -w .
fmt-check:
	@unformatted=$$(gofmt -l .) && test -z "$$unformatted" || \
		{ echo "make fmt would change:"; echo "$$unformatted"; exit 1; }

.PHONY: vet lint arch
vet:
	go vet ./...
lint: ## golangci-lint, as .golangci.yml tells it
	$(TOOL) golangci-lint run
arch: ## the laws of imports, sizes and layout
	go test ./test/arch

.PHONY: unit race
unit: ## the tests without the long ones
	$(GOTEST) -short ./...
race: ## the concurrent packages with the long tests, under the race detector
	@$(if $(no-race),echo "SKIPPED: race detector: needs $(no-race) (Debian: $(PACKAGES)); tests run without it",:)
	$(if $(no-race),,CGO_ENABLED=1) $(GOTEST) $(if $(no-race),,-race) $(CONCURRENT)

.PHONY: kube-up kube-down kube-demo e2e debian-packages
kube-up: ## a Kubernetes of several nodes on this machine (Linux, root)
	cd test/kube && go run . up
kube-down: ## stop it, and leave nothing behind
	cd test/kube && go run . down
kube-demo: build ## on that Kubernetes: install the chart, apply a RaftCluster, read from a pod
	cd test/kube && go run . demo
e2e: build ## the operator and its clusters on that Kubernetes, and on its API server
ifneq ($(no-kube),)
	@echo "SKIPPED: end-to-end on Kubernetes: needs $(no-kube) (Debian: $(PACKAGES))"
else
	cd test/e2e && $(GOTEST) -timeout 60m ./...
endif
debian-packages:
	@echo $(PACKAGES)

.PHONY: image
image: build ## a container image from bin/
	$(or $(CONTAINER),docker) build --tag conclave:$(VERSION) .

.PHONY: clean
clean: ## remove what the other targets made
	rm -rf bin data

.PHONY: FORCE
FORCE:
