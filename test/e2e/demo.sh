#!/bin/sh
# Shows the whole on the Kubernetes that is up, `make kube-up`: installs the chart
# with the programs in bin, asks for a cluster, writes in one pod and reads in
# another. What it leaves is there to play with.
set -eu
cd "$(dirname "$0")/../.."
image=conclave:demo

show() { # prints a command, then runs it where the cluster is reachable
	echo "\$ $*"
	bin/kube exec -- "$@"
}

in_pod() { # runs the command line as an application in a pod of its own, which may be earlier than the Service
	echo "\$ conclave --endpoint http://cfg:8400 $*     # in a pod"
	bin/kube exec -- kubectl run demo --image="$image" --restart=OnFailure --quiet --command -- \
		/conclave --endpoint http://cfg:8400 "$@" >/dev/null
	bin/kube exec -- kubectl wait --for=jsonpath='{.status.phase}'=Succeeded --timeout=60s pod/demo >/dev/null
	bin/kube exec -- kubectl logs demo
	bin/kube exec -- kubectl delete pod demo --now >/dev/null
}

test/e2e/image.sh "$image" bin/conclave.tar
bin/kube load "$image" bin/conclave.tar
show helm install conclave charts/conclave --set image.tag="${image#*:}" --wait
show kubectl apply -f config/samples/raftcluster.yaml
show kubectl wait --for=condition=Ready --timeout=180s raftcluster/cfg
show kubectl get raftcluster,pod -o wide
in_pod put app greeting --value hello
in_pod get app greeting
echo
in_pod status
echo "Go on with: bin/kube exec -- kubectl ..., and end with: make kube-down"
