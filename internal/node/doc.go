// Package node makes one data-plane node out of its parts: the data directory
// and the log (badgerlog), the peer connections (transport), the replica, the
// configuration store and the two HTTP listeners.
//
// Run is the whole of a node's life: identify, listen, form or find the cluster,
// serve, drain, stop. It returns when everything that it started has ended. The
// parts don't know each other; what passes between them is translated here and
// nowhere else.
//
// It promises that a node which was told to stop never changes the membership,
// and that one without data never forms a cluster unless all the others are
// without data too. It knows nothing of Kubernetes. cmd/node calls it.
package node
