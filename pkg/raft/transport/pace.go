package transport

import (
	"context"
	"sync"
	"time"
)

// pace spreads bytes over time so that they don't exceed a rate.
type pace struct {
	bytesPerSecond int

	mu sync.Mutex
	// free is when all bytes that were let through so far have had their time.
	free time.Time
}

func newPace(bytesPerSecond int) *pace { return &pace{bytesPerSecond: bytesPerSecond} }

// wait returns when n more bytes may go.
func (p *pace) wait(ctx context.Context, n int) error {
	p.mu.Lock()
	start := p.free
	if now := time.Now(); start.Before(now) {
		start = now
	}
	p.free = start.Add(time.Duration(float64(n) / float64(p.bytesPerSecond) * float64(time.Second)))
	p.mu.Unlock()
	return sleepUntil(ctx, start)
}

// sleepUntil waits until a moment has come or ctx has ended.
func sleepUntil(ctx context.Context, at time.Time) error {
	d := time.Until(at)
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// occasional lets one event through each second and counts the others, so that
// strangers can't fill the log.
type occasional struct {
	mu         sync.Mutex
	last       time.Time
	suppressed int
}

// allow tells whether to go on, and how many events were suppressed before.
func (o *occasional) allow() (suppressed int, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if !o.last.IsZero() && now.Sub(o.last) < time.Second {
		o.suppressed++
		return 0, false
	}
	suppressed, o.suppressed, o.last = o.suppressed, 0, now
	return suppressed, true
}
