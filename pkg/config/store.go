package config

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// DefaultMaxWatches is how many watches may be open unless StoreOptions says
// otherwise.
const DefaultMaxWatches = 20_000

// StoreOptions configures a Store. The zero value works.
type StoreOptions struct {
	// MaxWatches is how many watches may be open at once, waiting reads
	// included; 0 means DefaultMaxWatches.
	MaxWatches int
	// Ready tells why the local state may not be served yet, and returns nil once
	// it may; nil means always. It is called for each local read.
	Ready func() error
	// Parked tells why nothing of the local state may be served, with an error that
	// is ErrParked, and returns nil while it may; nil means always. It is called for
	// each read.
	Parked func() error
	// Now is a monotonic clock, used for Standing.Staleness alone; nil means
	// time.Now.
	Now func() time.Time
}

// Validate returns an error that names the field that is out of range.
func (o StoreOptions) Validate() error {
	if o.MaxWatches < 0 {
		return fmt.Errorf("MaxWatches is %d and can't be negative", o.MaxWatches)
	}
	return nil
}

// Store is the configuration store as callers see it. All methods may be
// called by many goroutines at once.
type Store struct {
	state      *State
	replicator Replicator
	maxWatches int64
	ready      func() error
	parked     func() error
	now        func() time.Time
	// made is when the store was made, and freshNanos how long after that the
	// last successful read barrier began; negative before the first.
	made       time.Time
	freshNanos atomic.Int64
	// renewing is the barrier that bounded reads share.
	renewing sharedBarrier
	// schemas are those that were used last to validate values.
	schemas SchemaCache
}

// NewStore returns a store that reads state and writes through replicator,
// which must be the one that drives state.
func NewStore(state *State, replicator Replicator, o StoreOptions) (*Store, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("store options: %w", err)
	}
	s := &Store{state: state, replicator: replicator, maxWatches: int64(o.MaxWatches), ready: o.Ready, parked: o.Parked, now: o.Now}
	if s.maxWatches == 0 {
		s.maxWatches = DefaultMaxWatches
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.made = s.now()
	s.freshNanos.Store(int64(NeverFresh))
	return s, nil
}

// Run delivers changes to watches until ctx ends. One goroutine of the owner
// runs it for as long as the store is in use. It always returns nil.
func (s *Store) Run(ctx context.Context) error {
	s.state.hub.run(ctx)
	return nil
}

// Deliver delivers to watches what was published before the call. It is for an
// owner who runs everything in one goroutine, and so doesn't call Run.
func (s *Store) Deliver() { s.state.hub.deliver() }

// Put writes a value. A nil error means that it is durable on a majority and
// that every later linear read, and every read of this member, sees it.
// Errors: ErrInvalid, ErrTooLarge, ErrConflict, ErrQuota, ErrSchema,
// ErrSchemaRace, ErrIdempotencyReused, ErrIdempotencyFull, ErrFeatureLevel,
// ErrNoLeader, ErrOverloaded, ErrDiskFull, ErrStopping, ErrParked,
// ErrOutcomeUnknown.
func (s *Store) Put(ctx context.Context, p Put) (Result, error) {
	command, g, err := p.command()
	if err != nil {
		return Result{}, err
	}
	result, err := s.submit(ctx, g, command, false, s.validation(ctx, p.Namespace, p.values()))
	if err != nil {
		return result, fmt.Errorf("put %s/%s: %w", p.Namespace, p.Key, err)
	}
	return result, nil
}

// Delete removes a key. A nil error means the same as for Put; ErrNotFound
// that there was no such key. The other errors are those of Put.
func (s *Store) Delete(ctx context.Context, d Delete) (Result, error) {
	command, g, err := d.command()
	if err != nil {
		return Result{}, err
	}
	result, err := s.submit(ctx, g, command, true, nil)
	if err != nil {
		return result, fmt.Errorf("delete %s/%s: %w", d.Namespace, d.Key, err)
	}
	return result, nil
}

// Txn carries out a transaction. Beside its result it returns an entry for each
// operation that was carried out: what a put wrote and what a get found, nil
// where there is none, after a delete, and when history no longer reaches it. A
// nil error means the same as for Put, whichever branch was taken; ErrConflict
// that a condition failed and there is no Else. What it may put is validated in both
// branches. The other errors are those of Put.
func (s *Store) Txn(ctx context.Context, t Txn) (Result, []*Entry, error) {
	command, g, err := t.command()
	if err != nil {
		return Result{}, nil, err
	}
	result, err := s.submit(ctx, g, command, t.freesSpace(), s.validation(ctx, t.Namespace, t.values()))
	if err != nil {
		return result, nil, fmt.Errorf("transaction in %s: %w", t.Namespace, err)
	}
	operations := t.Then
	if !result.Txn.Succeeded {
		operations = t.Else
	}
	view := s.state.View()
	entries := make([]*Entry, len(operations))
	for i, done := range result.Txn.Operations {
		entry := view.Get(t.Namespace, operations[i].Key)
		if entry.revision() != done.Revision {
			// Somebody has written to it since.
			entry = view.space(t.Namespace).at(operations[i].Key, done.Revision)
		}
		if entry.revision() == done.Revision {
			entries[i] = entry
		}
	}
	return result, entries, nil
}

// Rollback writes what keys were at an earlier revision. A nil error means the
// same as for Put; ErrPruned that history no longer reaches that revision, and
// ErrTooLarge that too much would change at once. What it puts back is validated
// by the schemas of now. The other errors are those of
// Put.
func (s *Store) Rollback(ctx context.Context, r Rollback) (Result, error) {
	command, g, err := r.command()
	if err != nil {
		return Result{}, err
	}
	result, err := s.submit(ctx, g, command, false, func(v *View) (uint64, error) {
		return s.validate(ctx, v, r.Namespace, r.values(v))
	})
	if pruned := (*PrunedError)(nil); errors.As(err, &pruned) {
		err = &PrunedError{Revision: r.To, Oldest: pruned.Oldest}
	}
	if err != nil {
		return result, fmt.Errorf("rollback of %s/%s to %d: %w", r.Namespace, r.Prefix, r.To, err)
	}
	return result, nil
}

// notApplied are the errors of a Replicator that mean: certainly not applied.
var notApplied = []error{ErrNoLeader, ErrOverloaded, ErrStopping, ErrTooLarge, ErrDiskFull, ErrParked}

func (s *Store) propose(ctx context.Context, command []byte, freesSpace bool) (Result, error) {
	if err := s.state.Fault(); err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrParked, err)
	}
	if err := checkLevel(command, s.state.View().Settings.FeatureLevel); err != nil {
		return Result{}, err
	}
	result, err := s.replicator.Propose(ctx, command, freesSpace)
	if err == nil {
		return result, result.Err()
	}
	for _, certain := range notApplied {
		if errors.Is(err, certain) {
			return Result{}, err
		}
	}
	if !errors.Is(err, ErrOutcomeUnknown) {
		// Whatever else went wrong, it proves nothing about the command, and
		// must not be taken for an error that does.
		err = fmt.Errorf("%w: %v", ErrOutcomeUnknown, err) //nolint:errorlint // see above
	}
	return Result{}, err
}

// refusal tells why nothing of a view that was just taken may be served.
func (s *Store) refusal(view *View) error {
	if view.fault != nil {
		return fmt.Errorf("%w: %w", ErrParked, view.fault)
	}
	if s.parked != nil {
		return s.parked()
	}
	return nil
}

// Revision returns the revision of the local state.
func (s *Store) Revision() uint64 { return s.state.View().Revision }

// LeaderKnown tells whether this member knows a leader.
func (s *Store) LeaderKnown() bool {
	_, known := s.replicator.Leader()
	return known
}

// Watch opens a watch. It returns ErrTooManyWatches when there are as many as
// allowed.
func (s *Store) Watch(scope Scope) (*Watch, error) {
	if err := s.takeWatch(); err != nil {
		return nil, err
	}
	return &Watch{store: s, scope: scope, topic: s.state.hub.subscribe(scope)}, nil
}

// takeWatch takes a place among the watches.
func (s *Store) takeWatch() error {
	hub := &s.state.hub
	if n := hub.watches.Add(1); n > s.maxWatches {
		hub.watches.Add(-1)
		return fmt.Errorf("%w: %d are open", ErrTooManyWatches, s.maxWatches)
	}
	return nil
}
