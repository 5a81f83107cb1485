// Package resources builds the Kubernetes objects of a RaftCluster: one file for
// each kind, one golden file in testdata for each object.
//
// It promises that the same Input gives the same objects, byte for byte, that
// every pod meets the restricted Pod Security Standard with a read-only root file
// system, and that nothing in the pod template depends on the number of members,
// so that changing it never restarts a pod.
//
// It never reads a cluster, a clock or a random source, and sends nothing. Its
// caller is internal/controller, which decides when an object is due.
package resources
