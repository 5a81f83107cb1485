// Package config is the configuration store: what a key is, what a command
// does to it, and how a caller reads and writes.
//
// It has two halves. State is a deterministic machine: the log hands it
// commands in order, and the same log gives the same bytes and the same hash on
// every member. It reads no clock, draws no random number, and nothing that a
// member's flags say changes what it does. Store is the half for callers: it
// checks a request, turns it into a command, has it replicated through the
// Replicator that it was given, and answers reads at the consistency asked for.
//
// Beside them stand functions of values alone: Schema validates one, MergePatch
// changes one, Render makes one document of many. They know no State, and Apply
// calls none of them, so a library that changes its mind makes no member differ.
//
// What it promises
//   - One committed change is one revision, a number that only grows, however many
//     keys a transaction or rollback changes. A refused command changes nothing,
//     and what changes nothing takes no revision.
//   - A proposal is carried out once, however many copies of it the log holds, as
//     long as its member is among the 256 that proposed last.
//   - Reads never wait for writes. Everything applied up to a Publish is seen
//     through one immutable View, which is also what a snapshot is written from.
//   - What a key was, and what each revision changed, can be read back to
//     View.Oldest. History is kept within limits of its own; pruning it comes in
//     small steps and refuses no write.
//   - All limits are settings of the state itself. A namespace over its quota is
//     refused new bytes, and no other notices.
//   - A write with an idempotency key is carried out once, however often its
//     client sends it within the window.
//   - Every live value satisfied the schemas of its key's prefixes when it was
//     written or when they were attached. Values are validated where they are
//     proposed; Apply only sees to it that the schemas are still the same.
//   - Waiting readers cost Apply nothing that grows with their number. A Follower
//     sees every revision in its scope, in order, once and whole; it holds a cursor
//     and no queue, so a slow one holds up nobody.
//   - A write whose outcome isn't known says so (ErrOutcomeUnknown) and is never
//     sent again from here.
//
// What it never does: it knows no network, no disk and no consensus, and never
// changes a value: bytes and media type are kept as they were given. No error
// quotes a value.
//
// internal/node drives State from the log and joins Store to consensus;
// internal/httpapi serves Store to clients.
package config
