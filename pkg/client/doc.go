// Package client reads and writes the configuration store of a Conclave cluster
// over HTTP. Any node takes any request, so one endpoint is enough.
//
//	store, err := client.New(client.Options{Endpoint: "http://cfg.prod.svc:8400"})
//	entry, err := store.Get(ctx, "pay", "db/url", client.GetOptions{})
//	_, err = store.Put(ctx, "pay", "db/url", next, client.PutOptions{IfRevision: entry.Revision})
//	if errors.Is(err, client.ErrChanged) { ... somebody was quicker ... }
//
// It promises that a returned entry is one that the store held at a revision, and
// that every request that fails is an *Error which says whether a write was
// certainly not applied (Rejected) or may have been (Unknown). A write is sent
// once and never repeated behind the caller's back. Whoever repeats one of unknown
// outcome should give it a condition from the start (IfRevision, IfAbsent): if the
// first was applied, the second is then refused with ErrChanged. Replies are
// bounded, and redirects are never followed.
//
// It uses the standard library alone, starts no goroutine and keeps no state
// besides connections. Its callers are other programs, and cmd/conclave.
package client
