// Package discovery finds the nodes of a cluster by the name of a headless
// service in DNS, as Kubernetes publishes it for a StatefulSet.
//
// One SRV record a pod tells the pod's name and port: Peers asks once, Await
// asks until enough peers are there. Addresses are names, never numbers, because
// a pod's number changes when the pod is made again; whoever dials one resolves it
// at that moment.
//
// It promises to return no peer that the service doesn't publish, to await only
// those that belong to the asking pod's StatefulSet, to believe only a bounded
// number of records, and to be patient: a service without
// records, a name server that fails and one that is not up yet are all normal
// while a cluster starts, so Await ends only with its context. Each error says
// which record was asked for. The package never falls back to another kind of
// lookup, never remembers an answer and never contacts a peer.
//
// Its caller is internal/node, before a cluster exists.
package discovery
