// Package client reads and writes the configuration store of a Conclave cluster
// over HTTP. Any node takes any request, so one endpoint is enough; with several,
// the others are asked when one fails.
//
//	store, err := client.New(client.Options{Endpoints: []string{"http://cfg.prod.svc:8400"}})
//	entry, err := store.Get(ctx, "pay", "db/url", client.ReadOptions{})
//	_, err = store.Put(ctx, "pay", "db/url", next, client.PutOptions{IfRevision: entry.Revision})
//	if errors.Is(err, client.ErrChanged) { ... somebody was quicker ... }
//
// What it promises
//   - A returned entry is one that the store held at a revision.
//   - Every request that fails is an *Error which says whether a write was
//     certainly not applied (Rejected) or may have been (Unknown).
//   - A write is sent again only when it was certainly not applied, or when it has an
//     idempotency key, so it is applied once at most. Reads are sent again after
//     whatever may pass: a refusal that is called retryable, or a connection that is
//     refused or lost. Whoever repeats a write of unknown outcome should have given
//     it a key (NewIdempotencyKey) or a condition (IfRevision, IfAbsent) from the
//     start: if the first was applied, the second gets its answer, or ErrChanged.
//   - All replies, waits and repetitions are bounded, and redirects are never followed.
//
// It uses the standard library alone, starts no goroutine and keeps no state
// besides connections. Its callers are other programs, and cmd/conclave.
package client
