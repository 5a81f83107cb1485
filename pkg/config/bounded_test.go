package config_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/conclave-dev/conclave/pkg/config"
)

func bounded(d time.Duration) config.ReadOptions {
	return config.ReadOptions{Level: config.Bounded, MaxStaleness: d}
}

func TestABoundedReadAsksNobodyWithinItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, fake := newStore(t, config.StoreOptions{})
		fake.apply(put("a", "1"))
		barriers := 0
		fake.barrier = func(context.Context) error { barriers++; return nil }
		for _, step := range []struct {
			passes   time.Duration
			bound    time.Duration
			barriers int
			stale    time.Duration
		}{
			{0, time.Second, 1, 0}, // the age is unknown before the first
			{time.Second, time.Second, 1, time.Second},
			{1, time.Second, 2, 0},
			{2 * time.Second, 3 * time.Second, 2, 2 * time.Second},
			{0, 0, 3, 0},
		} {
			time.Sleep(step.passes)
			e, standing, err := store.Get(t.Context(), "pay", "a", bounded(step.bound))
			if err != nil || string(e.Value) != "1" || standing.Level != config.Bounded {
				t.Fatalf("%+v: %+v, %+v, %v", step, e, standing, err)
			}
			if barriers != step.barriers || standing.Staleness != step.stale {
				t.Errorf("%+v: %d barriers, staleness %v", step, barriers, standing.Staleness)
			}
		}
	})
}

func TestBoundedReadsThatWaitShareABarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, fake := newStore(t, config.StoreOptions{})
		fake.apply(put("a", "1"))
		var barriers atomic.Int64
		fake.barrier = func(context.Context) error {
			barriers.Add(1)
			time.Sleep(time.Second)
			return nil
		}
		var readers sync.WaitGroup
		read := func(bound time.Duration) {
			readers.Go(func() {
				if _, _, err := store.Get(context.Background(), "pay", "a", bounded(bound)); err != nil {
					t.Error(err)
				}
			})
		}
		for range 100 {
			read(time.Minute)
		}
		readers.Wait()
		if n := barriers.Load(); n != 1 {
			t.Errorf("100 reads passed %d barriers, want 1", n)
		}
		// The one under way began before these came, and they bear no age: they
		// share the next.
		time.Sleep(time.Hour)
		read(time.Minute)
		time.Sleep(time.Millisecond)
		for range 100 {
			read(0)
		}
		readers.Wait()
		if n := barriers.Load(); n != 3 {
			t.Errorf("%d barriers in all, want 3", n)
		}
	})
}

func TestABoundedReadIsRefusedWhenItsAgeCannotBeRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, fake := newStore(t, config.StoreOptions{})
		fake.apply(put("a", "1"))
		get := func(bound time.Duration) error {
			_, _, err := store.Get(t.Context(), "pay", "a", bounded(bound))
			return err
		}
		for _, failure := range []error{config.ErrNoLeader, config.ErrOverloaded, config.ErrStopping, config.ErrNotCaughtUp} {
			fake.barrier = func(context.Context) error { return failure }
			if err := get(time.Hour); !errors.Is(err, config.ErrTooStale) || !errors.Is(err, failure) {
				t.Errorf("before any barrier, %v: %v", failure, err)
			}
		}
		fake.barrier = nil
		if err := get(time.Hour); err != nil {
			t.Error(err)
		}
		fake.barrier = func(context.Context) error { return config.ErrNoLeader }
		time.Sleep(time.Minute)
		if err := get(time.Minute); err != nil {
			t.Errorf("at the bound: %v", err)
		}
		if err := get(time.Minute - 1); !errors.Is(err, config.ErrTooStale) {
			t.Errorf("beyond the bound: %v", err)
		}
	})
}

func TestABarrierThatFailsFailsAllWhoShareIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, fake := newStore(t, config.StoreOptions{})
		var barriers, refused atomic.Int64
		fake.barrier = func(context.Context) error {
			barriers.Add(1)
			time.Sleep(time.Second)
			return config.ErrNoLeader
		}
		var readers sync.WaitGroup
		for range 100 {
			readers.Go(func() {
				if _, _, err := store.Get(context.Background(), "pay", "a", bounded(time.Second)); errors.Is(err, config.ErrNoLeader) {
					refused.Add(1)
				}
			})
		}
		readers.Wait()
		if barriers.Load() != 1 || refused.Load() != 100 {
			t.Errorf("%d barriers and %d refusals, want 1 and 100", barriers.Load(), refused.Load())
		}
	})
}

func TestAReaderWhoLeavesTakesNobodysBarrierAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, fake := newStore(t, config.StoreOptions{})
		fake.barrier = func(ctx context.Context) error {
			select {
			case <-time.After(time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		leaving, leave := context.WithCancel(t.Context())
		first := make(chan error, 1)
		second := make(chan error, 1)
		impatient := make(chan error, 1)
		get := func(ctx context.Context, into chan error) {
			_, _, err := store.Get(ctx, "pay", "a", bounded(time.Minute))
			into <- err
		}
		go get(leaving, first)
		synctest.Wait()
		go get(t.Context(), second)
		soon, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		go get(soon, impatient)
		if err := <-impatient; !errors.Is(err, config.ErrTooStale) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the one without patience: %v", err)
		}
		leave()
		if err := <-first; !errors.Is(err, config.ErrTooStale) {
			t.Errorf("the one who left: %v", err)
		}
		if err := <-second; err != nil {
			t.Errorf("the one who stayed: %v", err)
		}
	})
}
