package main

import (
	"context"
	"fmt"
	"time"
)

// sleep pauses, and tells whether the context is still alive afterwards.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// waitFor calls check until it succeeds. Its error says what was waited for, what check said last and
// why the wait ended: the limit, an interrupt, or a process that died meanwhile (the context's cause).
// hint says where to look, usually a log file.
func waitFor(ctx context.Context, what, hint string, limit time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not within %v", limit))
	defer cancel()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if !sleep(ctx, 200*time.Millisecond) {
			return fmt.Errorf("%s: %w (last answer: %w; see %s)", what, context.Cause(ctx), err, hint)
		}
	}
}
