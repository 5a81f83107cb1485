// Package v1 is version 1 of the API group conclave.dev. Its one kind,
// RaftCluster, asks for a replicated configuration store: a few pods, each with
// a volume of its own, that agree by Raft.
//
// Every field is honoured: what the operator can't do yet isn't part of the
// schema, rather than accepted and ignored. Defaults stand in the schema, so
// `kubectl get -o yaml` shows what is in force. The rules are CEL in the schema
// and, for the day when a resource slips past them, [RaftCluster.Validate].
//
// The package depends on Kubernetes' types alone, so that a program which reads
// or writes RaftClusters needn't build a controller. The operator, the
// end-to-end tests and such programs use it.
//
// +kubebuilder:object:generate=true
// +groupName=conclave.dev
package v1
