package transport

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestPaceKeepsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(1000)
		begin := time.Now()
		for range 11 {
			if err := p.wait(t.Context(), 500); err != nil {
				t.Fatal(err)
			}
		}
		// The first piece goes at once; each of the others waits for the one
		// before it.
		if got := time.Since(begin); got != 5*time.Second {
			t.Errorf("11 times 500 bytes at 1,000 a second took %v, want 5s", got)
		}
	})
}

func TestPaceDoesNotSaveUpWhatWasNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(1000)
		time.Sleep(time.Hour)
		begin := time.Now()
		for range 3 {
			if err := p.wait(t.Context(), 1000); err != nil {
				t.Fatal(err)
			}
		}
		if got := time.Since(begin); got != 2*time.Second {
			t.Errorf("3,000 bytes at 1,000 a second took %v after a rest, want 2s", got)
		}
	})
}

func TestPaceEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(1)
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		_ = p.wait(ctx, 1000)
		if err := p.wait(ctx, 1000); !errors.Is(err, cause) {
			t.Errorf("got %v, want the cause", err)
		}
	})
}

func TestOccasionalLetsOneThroughEachSecondAndCountsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o occasional
		passed := 0
		for range 25 {
			if _, ok := o.allow(); ok {
				passed++
			}
			time.Sleep(100 * time.Millisecond)
		}
		if passed != 3 {
			t.Errorf("%d of 25 events in 2.5 s passed, want 3", passed)
		}
		time.Sleep(time.Second)
		if suppressed, ok := o.allow(); !ok || suppressed != 4 {
			t.Errorf("passed: %v, suppressed: %d; want the 4 since the last one", ok, suppressed)
		}
	})
}

func TestPausesGrowToTheirLimit(t *testing.T) {
	o := Options{BackoffMin: 50 * time.Millisecond, BackoffMax: time.Second}
	l := &link{transport: &Transport{options: o}}
	for failures, most := range []time.Duration{50, 100, 200, 400, 800, 1000, 1000, 1000} {
		most *= time.Millisecond
		l.failures = failures
		for range 100 {
			if got := l.pause(); got < most/2 || got > most {
				t.Fatalf("after %d failures: %v, want %v to %v", failures, got, most/2, most)
			}
		}
	}
	l.failures = 1 << 40
	if got := l.pause(); got > time.Second {
		t.Errorf("after many failures: %v", got)
	}
}
