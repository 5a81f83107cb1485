package discovery

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// Progress tells how one lookup of Await went.
type Progress struct {
	// Attempt counts the lookups, from 1.
	Attempt int
	// Found are the peers of this answer, Want how many are awaited.
	Found []Peer
	Want  int
	// Err is why there was no answer, or nil when it only held too few peers.
	Err error
	// RetryIn is the pause before the next lookup.
	RetryIn time.Duration
}

// Await asks until one answer holds at least n distinct peers, and returns that
// answer. Peers of different answers are not added up: one that has gone may
// never come back. No failed lookup ends it, only ctx, and its error then tells
// the cause and how the last lookup went.
func (r *Resolver) Await(ctx context.Context, n int) ([]Peer, error) {
	if n < 1 || n > PeersMax {
		return nil, fmt.Errorf("discovery: await %d peers: want between 1 and %d", n, PeersMax)
	}
	pauseMax := r.options.RetryMin
	for attempt := 1; ; attempt++ {
		peers, err := r.Peers(ctx)
		if err == nil && len(peers) >= n {
			return peers, nil
		}
		now := Progress{Attempt: attempt, Found: peers, Want: n, Err: err, RetryIn: jitter(pauseMax)}
		if ctx.Err() == nil && r.options.Progress != nil {
			r.options.Progress(now)
		}
		select {
		case <-ctx.Done():
			return nil, r.abandoned(ctx, now)
		case <-time.After(now.RetryIn):
		}
		pauseMax = min(2*pauseMax, r.options.RetryMax)
	}
}

// jitter returns a pause between half of longest and longest, so that nodes
// which started together don't ask together for ever.
func jitter(longest time.Duration) time.Duration {
	return longest - rand.N(longest/2+1)
}

// abandoned is Await's error after its context has ended.
func (r *Resolver) abandoned(ctx context.Context, last Progress) error {
	if last.Err != nil {
		return fmt.Errorf("discovery: await %d peers of %s: %w; last lookup: %w",
			last.Want, r.options.Service, context.Cause(ctx), last.Err)
	}
	return fmt.Errorf("discovery: await %d peers of %s: %w; the last answer held %d",
		last.Want, r.options.Service, context.Cause(ctx), len(last.Found))
}
