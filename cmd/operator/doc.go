// Command operator makes RaftClusters real: it watches them and runs
// internal/controller on each.
//
// It promises to act only while it holds its lease, to exit with an error when it
// loses it, and to give it back when it is asked to stop. It never serves the
// clusters' clients: they live on without it. The chart in charts/conclave runs
// it.
package main
