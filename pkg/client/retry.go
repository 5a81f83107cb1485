package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// pauseMin is the pause after the endpoints have all failed for the first time.
const pauseMin = 100 * time.Millisecond

// retry sends a call to one endpoint after the other, beginning with the one that
// answered last, until one answers, the answer is final, or the attempts or the
// time are used up. When all have been asked in vain it pauses, for as long as the
// last of them wants.
//
// A write that one endpoint may have applied stays unknown, whatever the next ones
// say for themselves.
func (c *Client) retry(ctx context.Context, call call, send func(endpoint string) error) error {
	endpoints := int64(len(c.options.Endpoints))
	first := c.preferred.Load()
	unknown := false
	for attempt := int64(0); ; attempt++ {
		at := (first + attempt) % endpoints
		err := send(c.options.Endpoints[at])
		if err == nil {
			c.preferred.Store(at)
			return nil
		}
		var failure *Error
		again := errors.As(err, &failure) && failure.again(call)
		if unknown && failure != nil && !failure.speaksForAll() {
			failure.Outcome, failure.Retryable = Unknown, false
		}
		unknown = failure != nil && failure.Outcome == Unknown
		if !again || attempt+1 >= int64(c.options.Attempts) || ctx.Err() != nil {
			return err
		}
		var pause time.Duration
		if (attempt+1)%endpoints == 0 {
			pause = c.pause(int(attempt/endpoints), failure.RetryAfter)
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= pause {
			return err // which says more than that the time is over
		}
		if c.options.OnRetry != nil {
			c.options.OnRetry(failure, pause)
		}
		if !sleep(ctx, pause) {
			return err
		}
	}
}

// again reports whether the call may be sent once more: after everything that may
// pass if it is repeatable, and otherwise only if it was certainly not applied.
func (e *Error) again(call call) bool {
	if e.Outcome != Rejected {
		return call.repeatable()
	}
	return e.Retryable
}

// speaksForAll reports whether a refusal holds for the earlier attempts of a write
// with an idempotency key, too: it comes from the state, which keeps it for all of
// them. Any other is of one node at one time.
func (e *Error) speaksForAll() bool {
	return errors.Is(e, ErrChanged) || errors.Is(e, ErrNotFound)
}

// pause is how long to wait after so many rounds before: longer each time, and as
// long as was asked for, both within PauseMax. Up to a quarter comes on top, so
// that those who failed together don't come back together.
func (c *Client) pause(round int, asked time.Duration) time.Duration {
	pause := c.options.PauseMax
	if round < 16 {
		pause = min(pause, pauseMin<<round)
	}
	pause = min(max(pause, asked), c.options.PauseMax)
	return pause + rand.N(pause/4+1)
}

// sleep waits, and returns false when the context ended first.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// avoid has another endpoint asked first, if that one would be.
func (c *Client) avoid(endpoint string) {
	at := c.preferred.Load()
	if c.options.Endpoints[at] == endpoint {
		c.preferred.CompareAndSwap(at, (at+1)%int64(len(c.options.Endpoints)))
	}
}
