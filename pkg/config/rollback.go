package config

import (
	"bytes"
	"iter"
	"slices"
	"strings"
)

// Rollback writes, as a new revision, what the keys under a prefix were at an
// earlier one: it puts back what was changed or deleted since and deletes what
// is new. History stays. When the store has changed more than 65,536 keys since
// then and there are as many under the prefix, live or in history, it is
// ErrTooLarge, as when more would change than one revision takes.
type Rollback struct {
	Namespace string
	// Prefix may be empty, for the whole namespace.
	Prefix string
	// To is the revision to go back to; history must still reach it.
	To uint64
	// Reason is kept with the revision: up to MaxReasonBytes of UTF-8 without
	// control characters.
	Reason string
	// Idempotency is as in Put.
	Idempotency string
}

// maxChangeSteps is how many changes in the journal, and after them how many keys
// of the namespace, a rollback looks at to find what has changed; beyond both it
// is too large. Apply does nothing else meanwhile.
const maxChangeSteps = 1 << 16

// rollbackFields is a rollback in the log. Append only.
type rollbackFields struct {
	Namespace string
	Prefix    string
	To        uint64
	Reason    string
}

// Encode checks the rollback and returns it as a command. It returns an
// InvalidError when it can never succeed.
func (r *Rollback) Encode() ([]byte, error) { return encodeGuarded(r.command()) }

func (r *Rollback) command() ([]byte, guard, error) {
	fields := rollbackFields{Namespace: r.Namespace, Prefix: r.Prefix, To: r.To, Reason: r.Reason}
	if err := fields.check(); err != nil {
		return nil, guard{}, err
	}
	command, err := encodeCommand(kindRollback, &fields, len(r.Prefix)+len(r.Reason))
	return command, newGuard(r.Namespace, r.Idempotency, kindRollback, &fields), err
}

func (f *rollbackFields) check() error {
	if err := CheckNamespace(f.Namespace); err != nil {
		return err
	}
	if err := CheckPrefix(f.Prefix); err != nil {
		return err
	}
	if f.To > maxRevision {
		return invalid("revision", "%d is beyond the last possible one", f.To)
	}
	if len(f.Reason) > MaxReasonBytes {
		return invalid("reason", "it has %d bytes and may have %d", len(f.Reason), MaxReasonBytes)
	}
	return checkText("reason", f.Reason)
}

// rollback carries a rollback out. Result.Current is the oldest revision that
// could be gone back to when To is pruned.
func (s *State) rollback(f *rollbackFields) Result {
	result := Result{Outcome: OutcomeApplied, Revision: s.revision}
	switch {
	case f.To < s.history.oldest:
		result.Outcome, result.Current = OutcomePruned, s.history.oldest
		return result
	case f.To > s.revision:
		result.Outcome = OutcomeFutureRevision
		return result
	}
	writes, ok := s.space(f.Namespace).backTo(f, &s.history.journal, s.revision, func(now, then *Entry) *Entry {
		if then == nil {
			return s.tombstone(now)
		}
		return s.successor(now, then.Key, then.Value, then.MediaType)
	})
	if !ok {
		result.Outcome = OutcomeTooLarge
		return result
	}
	if result.Outcome = s.offer(f.Namespace, f.Reason, writes...); result.Outcome == OutcomeApplied {
		result.Revision, result.Changes = s.revision, uint32(len(writes))
	}
	return result
}

// backTo returns the writes that take the keys of a rollback back, each with what
// next makes of the live entry and the one to put back, nil for none; and not ok
// when they are more than one revision takes.
func (s *space) backTo(f *rollbackFields, j *journal, revision uint64, next func(now, then *Entry) *Entry) (writes []write, ok bool) {
	steps, size := 0, int64(0)
	for key := range s.mayDiffer(j, f.Prefix, f.Prefix, f.To, revision) {
		if steps++; steps > maxChangeSteps {
			return nil, false
		}
		now, then := s.get(key), s.at(key, f.To)
		if sameContent(now, then) {
			continue
		}
		w := write{old: now, next: next(now, then)}
		writes = append(writes, w)
		size += w.next.chargeBytes()
		if len(writes) > MaxRevisionChanges || size > MaxRevisionBytes {
			return nil, false
		}
	}
	return writes, true
}

// mayDiffer walks, in byte order, over keys under a prefix from one on; among
// them are all that differ between two revisions. It looks for them in the
// journal, and where that has too much of others over all keys, so that
// beginning the walk costs the same however long history is.
func (s *space) mayDiffer(j *journal, prefix, from string, after, upTo uint64) iter.Seq[string] {
	if s == nil {
		return func(func(string) bool) {}
	}
	if keys, all := changedKeys(j, s.name, prefix, after, upTo); all {
		at, _ := slices.BinarySearch(keys, from)
		return slices.Values(keys[at:])
	}
	return func(yield func(string) bool) {
		for key := range s.keys(max(prefix, from)) {
			if !strings.HasPrefix(key, prefix) || !yield(key) {
				return
			}
		}
	}
}

// changedKeys returns, in byte order, the keys of a namespace under a prefix that
// any revision after one and up to another changed. It gives up, and not all is
// what it returns, when the revisions changed more than maxChangeSteps keys of
// any name.
func changedKeys(j *journal, namespace, prefix string, after, upTo uint64) (keys []string, all bool) {
	seen := map[string]struct{}{}
	steps := 0
	for r := range j.from(after + 1) {
		if r.Number > upTo {
			break
		}
		if steps += max(1, len(r.Changes)); steps > maxChangeSteps {
			return nil, false
		}
		for _, c := range r.Changes {
			if c.Namespace == namespace && strings.HasPrefix(c.Entry.Key, prefix) {
				seen[c.Entry.Key] = struct{}{}
			}
		}
	}
	keys = make([]string, 0, len(seen))
	for key := range seen {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys, true
}

// sameContent tells whether two entries, nil for an absent key, read the same.
func sameContent(a, b *Entry) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a == b || a.MediaType == b.MediaType && bytes.Equal(a.Value, b.Value)
}
