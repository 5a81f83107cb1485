# Conclave. `make` alone lists the targets; the comment behind each ## is its help.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
TOOL    := go tool -modfile=tools/go.mod
GOTEST  := $(TOOL) gotestsum --format pkgname --format-hide-empty-pkg

# Packages that start goroutines: `make race` looks at these.
CONCURRENT := ./pkg/raft/... ./pkg/config/... ./pkg/client/... $(filter-out ./internal/controller,$(wildcard ./internal/*))
# Debian packages that tests need besides Go, make and git: gcc for the race
# detector, openssl for the page on TLS, buildah for the image, the makers of file systems for tests of power
# cuts, the rest for the Kubernetes in test/kube. .ci/run installs them.
PACKAGES := gcc libc6-dev curl openssl buildah e2fsprogs xfsprogs btrfs-progs runc iproute2 nftables util-linux mount procps

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z0-9.-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build run image
build: bin/node bin/operator bin/conclave ## build the three programs into bin/
bin/node bin/operator bin/conclave: bin/%: FORCE
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $@ ./cmd/$*
run: bin/node ## a cluster of three nodes on this machine, in the foreground, data in data/
	bin/node dev --dir data
image: build ## the container image of the three programs, as an archive: bin/conclave.tar
	test/e2e/image.sh conclave:$(VERSION) bin/conclave.tar

.PHONY: check test
check: fmt-check vet lint arch fresh unit ## everything that is quick: about two minutes
test: check race envtest e2e ## everything that this machine can run; says what it skipped, and why

.PHONY: fmt fmt-check vet lint arch
fmt: ## format all Go source
	gofmt -w .
fmt-check:
	@unformatted=$$(gofmt -l .) && test -z "$$unformatted" || { echo "make fmt would change:" $$unformatted; exit 1; }
vet:
	go vet ./...
lint: ## golangci-lint, as .golangci.yml tells it
	$(TOOL) golangci-lint run --allow-parallel-runners
arch: ## the laws of imports, sizes and layout
	go test ./test/arch

# generate-into writes all generated files below the directory $(1).
generate-into = $(TOOL) controller-gen object crd paths=./api/... output:object:dir=$(1)/api/v1 output:crd:dir=$(1)/config/crd \
	&& mkdir -p $(1)/charts/conclave/files $(1)/docs && cp $(1)/config/crd/conclave.dev_raftclusters.yaml $(1)/charts/conclave/files/crd.yaml \
	&& $(TOOL) crd-ref-docs --log-level=ERROR --source-path=api/v1 --config=config/reference.yaml --max-depth=20 --renderer=markdown \
		--output-path=$(1)/docs/raftcluster.md
GENERATED := api/v1/zz_generated.deepcopy.go config/crd/conclave.dev_raftclusters.yaml charts/conclave/files/crd.yaml docs/raftcluster.md

.PHONY: generate fresh
generate: ## write the generated files anew
	$(call generate-into,.)
fresh:
	@new=$$(mktemp -d) && trap 'rm -rf "$$new"' EXIT && $(call generate-into,$$new) \
		&& for file in $(GENERATED); do cmp "$$file" "$$new/$$file" || { echo "stale: run make generate"; exit 1; }; done

# INSTALL is the file that install.yaml writes, IMAGE what it installs: NAME:TAG. Helm is that of HELM or the PATH,
# or built by test/kube.
INSTALL ?= bin/install.yaml
IMAGE   ?= conclave:$(VERSION)
.PHONY: install.yaml
install.yaml: $(if $(HELM)$(shell command -v helm),,bin/kube) ## the operator in one file, for those without Helm; IMAGE=NAME:TAG
	@image='$(IMAGE)'; case "$${image##*/}" in *@*) false;; *:*);; *) false;; esac || { echo "IMAGE=$$image: want NAME:TAG" >&2; exit 1; }; \
		helm=$${HELM:-$$(command -v helm)} || { bin/kube build helm && helm=$$(bin/kube env KUBEBUILDER_ASSETS)/helm; } || exit 1; \
		mkdir -p '$(dir $(INSTALL))' && { printf '%s\n' 'apiVersion: v1' 'kind: Namespace' 'metadata:' '  name: conclave-system' \
			'  labels:' '    pod-security.kubernetes.io/enforce: restricted'; \
		"$$helm" template conclave charts/conclave --namespace conclave-system --skip-tests --set crd.keep=false \
			--set-string "image.repository=$${image%:*},image.tag=$${image##*:}"; } > '$(INSTALL)' || { rm -f '$(INSTALL)'; exit 1; }

.PHONY: unit race bench sim sim-mutants
unit: ## the tests, without the long ones
	$(GOTEST) --hide-summary=skipped -- -short ./...
race: ## the concurrent packages with the long tests, under the race detector
ifneq ($(shell command -v gcc 2>/dev/null),)
	CGO_ENABLED=1 $(GOTEST) -- -race -timeout 30m $(CONCURRENT)
else
	@echo "SKIPPED: race detector: needs a C compiler (Debian: gcc libc6-dev); the long tests run without it"
	$(GOTEST) -- -timeout 30m $(CONCURRENT)
endif
SEEDS ?= 1000
FIRST ?= 1
sim: ## SEEDS=1000 simulated clusters, from seed FIRST=1 on
	go test ./test/sim -count=1 -timeout 0 -v -run '^TestSeeds$$' -seeds $(SEEDS) -first $(FIRST)
sim-mutants: ## what the simulator makes of each planted bug, or of MUTANTS=10,13; ten minutes and more
	go test ./test/sim/mutants -count=1 -timeout 0 -v -run '^TestHunt$$' -hunt -only '$(MUTANTS)' $(if $(MUTANTS),,-into RESULTS.md)
bench: ## the benchmarks of the hot paths
	go test -run '^$$' -bench . ./pkg/... ./internal/httpapi

# The Kubernetes in test/kube is of Linux; its own doctor says what a machine lacks for it.
ifeq ($(shell uname -s),Linux)
KUBE := bin/kube
bin/kube: FORCE
	cd test/kube && go build -o ../../$@ .
else
bin/kube: FORCE
	@echo "this needs Linux" >&2; exit 1
endif
bin/writer: FORCE
	CGO_ENABLED=0 go build -trimpath -o $@ ./test/e2e/writer

.PHONY: envtest e2e
ifdef KUBE
envtest: bin/kube ## the controller on a real API server
	cd test/kube && go test ./...
	bin/kube build envtest helm
	assets=$$(bin/kube env KUBEBUILDER_ASSETS) && \
		KUBEBUILDER_ASSETS=$$assets HELM=$$assets/helm $(GOTEST) -- -timeout 30m ./internal/controller/...
else
envtest:
	@echo "SKIPPED: the controller on a real API server: needs Linux"
endif
e2e: build bin/writer $(KUBE) ## clusters of processes, then on a real Kubernetes of several nodes (root)
	$(GOTEST) -- -timeout 30m -skip '^TestKube$$' ./test/e2e/...
	test/e2e/kube.sh

# What evidence does, so many times each.
EVIDENCE := -kill-rounds 300 -kill-points 5 -power-cuts 50 -flips 150 -leader-kills 100 -retries 5000 -watch-rounds 60
.PHONY: evidence
evidence: ## the faults of the clusters of processes, many times (root, about an hour)
	@mkdir -p bin
	go test -timeout 3h -v -run 'Killed|WatchersOfCut|PowerCut|Damaged|Full|Stalled|Clock|Membership' ./test/e2e $(EVIDENCE) > bin/evidence.log; \
		status=$$?; grep -oE 'EVIDENCE.*|^--- .*|^FAIL.*' bin/evidence.log; exit $$status

.PHONY: kube-up kube-down kube-demo
kube-up: bin/kube ## a Kubernetes of several nodes on this machine (Linux, root)
	bin/kube up
kube-down: bin/kube ## stop it, and leave nothing of it
	bin/kube down
kube-demo: kube-up build ## on that Kubernetes: install the chart, apply a RaftCluster, write and read from a pod
	test/e2e/demo.sh

.PHONY: clean debian-packages FORCE
clean: ## remove what was built; the data of make run stays
	rm -rf bin
debian-packages: # for .ci/run
	@echo $(PACKAGES)
FORCE:
