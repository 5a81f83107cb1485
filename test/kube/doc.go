// Command kube runs a real Kubernetes of several nodes on one Linux machine, as root and without a
// container engine, from programs that it builds itself from pinned Go modules.
//
// Every node is a network namespace and a mount namespace with its own containerd, kubelet and
// kube-proxy. One more network namespace holds the control plane (etcd, API server, controller manager,
// scheduler) and a bridge, the switch that every node's cable ends in. All processes of a cluster are in
// control groups below one that has the cluster's name; that is how they are found again.
//
// Tests use it in two ways: a controller test takes only the etcd, kube-apiserver and kubectl binaries,
// an end-to-end test runs inside the whole cluster and may cut cables and power nodes off.
//
// It promises to end only processes that it started itself, and to leave no process, namespace, mount,
// control group or file of a cluster behind it. It never pulls an image, and a cluster has no way out
// to any other network.
package main
