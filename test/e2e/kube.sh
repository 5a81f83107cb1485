#!/bin/sh
# Tells the story of TestKube: on the Kubernetes of KUBECONFIG when CONCLAVE_IMAGE
# names an image that its nodes can pull (and CONCLAVE_WRITER_IMAGE one of
# test/e2e/writer), otherwise on one of test/kube, which is started for it and
# removed again, whatever happens. `make e2e` has built the programs in bin.
set -eu
cd "$(dirname "$0")/../.."

# go test needs no network any more once the binary is there.
CGO_ENABLED=0 go test -c -o bin/e2e.test ./test/e2e
story='cd test/e2e && exec ../../bin/e2e.test -test.v -test.timeout 20m -test.run "^TestKube$"'

if [ -n "${KUBECONFIG:-}" ] && [ -n "${CONCLAVE_IMAGE:-}" ]; then
	exec sh -c "$story"
fi
if [ "$(uname -s)" != Linux ]; then
	echo "SKIPPED: end-to-end on Kubernetes: needs Linux, or KUBECONFIG and CONCLAVE_IMAGE"
	exit 0
fi
if ! lacks=$(bin/kube doctor 2>&1); then
	echo "SKIPPED: end-to-end on Kubernetes:" "$(echo "$lacks" | sed 's/^kube: //' | paste -s -d ';' -)"
	exit 0
fi
if ! command -v buildah >/dev/null; then
	echo "SKIPPED: end-to-end on Kubernetes: buildah is missing, which builds the image (Debian: buildah)"
	exit 0
fi

CONCLAVE_KUBE_NAME="e$(($$ % 1000000))" # of its own: several may run at a time
export CONCLAVE_KUBE_NAME
trap 'bin/kube down' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
bin/kube up
test/e2e/image.sh conclave:e2e bin/conclave.tar
bin/kube load conclave:e2e bin/conclave.tar
bin/kube image --user 65532:65532 conclave-writer:e2e bin/writer=/writer
CONCLAVE_IMAGE=conclave:e2e CONCLAVE_WRITER_IMAGE=conclave-writer:e2e bin/kube exec -- sh -c "$story"
