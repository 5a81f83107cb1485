# syntax=docker/dockerfile:1
#
# The one image of Conclave: three static programs and nothing else, for any
# non-root user and a read-only root file system.
#
#   docker build --target source   --tag conclave:dev --build-arg VERSION=dev .
#   docker build --target prebuilt --tag conclave:dev .     (after make build)
#
# There is no entrypoint: manifests say which program they mean, with
# command: ["/node"] or ["/operator"].

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY api api
COPY cmd cmd
COPY internal internal
COPY pkg pkg
ARG TARGETOS TARGETARCH VERSION=dev
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    for program in node operator conclave; do \
      CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
        go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/$program ./cmd/$program || exit 1; \
    done

FROM scratch AS image
ARG VERSION=dev
LABEL org.opencontainers.image.title="Conclave" \
      org.opencontainers.image.description="A replicated configuration service for Kubernetes: node, operator and command line" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/conclave-dev/conclave" \
      org.opencontainers.image.version="$VERSION"
USER 65532:65532
CMD ["/node"]

# prebuilt takes what `make build` has left in bin.
FROM image AS prebuilt
COPY --chmod=0755 bin/node bin/operator bin/conclave /

# source needs nothing but this repository. It is last, so it is the default.
FROM image AS source
COPY --from=build --chmod=0755 /out/node /out/operator /out/conclave /
