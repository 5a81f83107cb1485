package discovery

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
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

// Await asks until one answer holds at least n distinct peers, and returns those
// of that answer, as far as Options.Name lets them count. Peers of different answers are not added up: one that has gone may
// never come back. No failed lookup ends it, only ctx, and its error then tells
// the cause and how the last lookup went.
func (r *Resolver) Await(ctx context.Context, n int) ([]Peer, error) {
	if n < 1 || n > PeersMax {
		return nil, fmt.Errorf("discovery: await %d peers: want between 1 and %d", n, PeersMax)
	}
	pauseMax := r.options.RetryMin
	for attempt := 1; ; attempt++ {
		peers, err := r.Peers(ctx)
		peers = r.siblings(peers, n)
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

// siblings returns the peers that bear the names of the first n pods of the
// StatefulSet that has the pod Options.Name; all if that is no such name.
func (r *Resolver) siblings(peers []Peer, n int) []Peer {
	dash := strings.LastIndexByte(r.options.Name, '-')
	if dash < 1 {
		return peers
	}
	if _, err := strconv.ParseUint(r.options.Name[dash+1:], 10, 31); err != nil {
		return peers
	}
	stem := strings.ToLower(r.options.Name[:dash+1])
	return slices.DeleteFunc(peers, func(p Peer) bool {
		number, found := strings.CutPrefix(p.Name, stem)
		ordinal, err := strconv.ParseUint(number, 10, 31)
		return !found || err != nil || ordinal >= uint64(n) || number != strconv.FormatUint(ordinal, 10)
	})
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
