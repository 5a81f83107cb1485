// Package history is what clients tell of their dealings with a store, and the
// judgement of it.
//
// [History.Check] promises to accept a history only when the store may have
// given it: every key is linearizable, no acknowledged write is lost, nothing
// that was rejected ever shows, every condition was judged on what the key held,
// and revisions grow in the order in which writes happened. A transaction is whole
// and of one moment. A read of a lower level than linear is of one revision, not
// lower than it demands, and no older than it was allowed or says. Check knows only
// what clients saw, never how the store came to it.
//
// test/e2e/writer records histories inside a Kubernetes cluster, the process
// tests of test/e2e record their own, and test/e2e judges both. Nothing that
// ships imports this package.
package history
