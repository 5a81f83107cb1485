package config

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// sharedBarrier lets reads that need a barrier at the same time pass one
// together. It has no goroutine of its own: the read that comes first passes the
// barrier, and the others wait for it.
type sharedBarrier struct {
	mu sync.Mutex
	// current is the barrier under way, nil while there is none.
	current *passage
}

// passage is one barrier on its way.
type passage struct {
	// over is closed at its end. Then err is why it failed for all who wait; it
	// is nil too when only the one who passed it gave up.
	over chan struct{}
	err  error
}

// join returns the barrier under way. When there is none, the caller is the
// first, who passes it and reports to end.
func (b *sharedBarrier) join() (p *passage, first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.current != nil {
		return b.current, false
	}
	b.current = &passage{over: make(chan struct{})}
	return b.current, true
}

func (b *sharedBarrier) end(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current.err = err
	close(b.current.over)
	b.current = nil
}

// awaitFreshness returns once the local state holds everything that was
// acknowledged up to bound before the call. Mostly it does at once. Otherwise
// one barrier serves all who wait; those for whom it began too early, or whose
// first reader left, pass another together. Its error is ErrTooStale.
func (s *Store) awaitFreshness(ctx context.Context, bound time.Duration) error {
	oldest := int64(s.now().Sub(s.made) - bound)
	for !s.freshSince(oldest) {
		err := context.Cause(ctx)
		if err == nil {
			err = s.shareBarrier(ctx)
		}
		if err != nil {
			return fmt.Errorf("%w: the bound is %v, and it can't be renewed: %w", ErrTooStale, bound, err)
		}
	}
	return nil
}

// freshSince tells whether a barrier succeeded that began at or after a moment,
// in nanoseconds since the store was made.
func (s *Store) freshSince(nanos int64) bool {
	fresh := s.freshNanos.Load()
	return fresh >= 0 && fresh >= nanos
}

// shareBarrier passes a barrier or waits for the one under way.
func (s *Store) shareBarrier(ctx context.Context) error {
	p, first := s.renewing.join()
	if !first {
		select {
		case <-p.over:
			return p.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	err := s.barrier(ctx)
	if ctx.Err() != nil {
		s.renewing.end(nil)
	} else {
		s.renewing.end(err)
	}
	return err
}
