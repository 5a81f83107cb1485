package config_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/conclave-dev/conclave/pkg/config"
)

func TestErrorsOfReplicationSayWhatBecameOfTheWrite(t *testing.T) {
	for _, c := range []struct{ from, want error }{
		{config.ErrNoLeader, config.ErrNoLeader}, {config.ErrOverloaded, config.ErrOverloaded}, {config.ErrStopping, config.ErrStopping},
		{config.ErrTooLarge, config.ErrTooLarge}, {config.ErrDiskFull, config.ErrDiskFull}, {fmt.Errorf("why: %w", config.ErrNoLeader), config.ErrNoLeader},
		{config.ErrOutcomeUnknown, config.ErrOutcomeUnknown}, {context.DeadlineExceeded, config.ErrOutcomeUnknown},
		{context.Canceled, config.ErrOutcomeUnknown}, {errBroken, config.ErrOutcomeUnknown},
		// These would say that nothing was applied, which replication can't know.
		{config.ErrConflict, config.ErrOutcomeUnknown}, {config.ErrQuota, config.ErrOutcomeUnknown}, {config.ErrInvalid, config.ErrOutcomeUnknown},
	} {
		store, fake := newStore(t, config.StoreOptions{})
		fake.refusal = c.from
		_, putErr := store.Put(t.Context(), *put("a", "value"))
		_, deleteErr := store.Delete(t.Context(), *del("a"))
		for _, err := range []error{putErr, deleteErr} {
			if !errors.Is(err, c.want) || !errors.Is(c.from, c.want) && errors.Is(err, c.from) {
				t.Errorf("%v became %v, want %v alone", c.from, err, c.want)
			}
			if !strings.Contains(err.Error(), "pay/a") || strings.Contains(err.Error(), "value") {
				t.Errorf("error %q should name the key and not the value", err)
			}
		}
	}
}

func TestAFailedPreconditionTellsWhatItMet(t *testing.T) {
	store, fake := newStore(t, config.StoreOptions{})
	fake.apply(put("b", "1"), put("a", "1"), put("b", "2"))
	for key, want := range map[string]config.ConflictError{"a": {Current: 2, Revision: 3}, "none": {Current: 0, Revision: 3}} {
		_, err := store.Put(t.Context(), config.Put{Namespace: "pay", Key: key, If: config.IfRevision(99)})
		var conflict *config.ConflictError
		if !errors.As(err, &conflict) || *conflict != want || !errors.Is(err, config.ErrConflict) {
			t.Errorf("%s: %v, want %+v", key, err, want)
		}
	}
}

func TestLinearReadsNeedABarrierAndLocalOnesDoNot(t *testing.T) {
	store, fake := newStore(t, config.StoreOptions{})
	fake.apply(put("a", "1"))
	fake.barrier = func(context.Context) error {
		fake.barrier = nil
		// What others acknowledged arrives before the barrier is passed.
		fake.apply(put("a", "2"))
		return nil
	}
	e, standing, err := store.Get(t.Context(), "pay", "a", config.ReadOptions{Level: config.Local})
	if err != nil || string(e.Value) != "1" || standing.Revision != 1 || standing.Level != config.Local || standing.Staleness != config.NeverFresh {
		t.Errorf("local: %+v, %+v, %v", e, standing, err)
	}
	e, standing, err = store.Get(t.Context(), "pay", "a", config.ReadOptions{})
	if err != nil || string(e.Value) != "2" || standing.Revision != 2 || standing.Level != config.Linear || !standing.LeaderKnown {
		t.Errorf("linear: %+v, %+v, %v", e, standing, err)
	}
	for from, want := range map[error]error{
		config.ErrNoLeader: config.ErrNoLeader, config.ErrOverloaded: config.ErrOverloaded, config.ErrNotCaughtUp: config.ErrNotCaughtUp,
		context.DeadlineExceeded: config.ErrNotCaughtUp, errBroken: errBroken,
	} {
		fake.barrier = func(context.Context) error { return from }
		if _, _, err := store.Get(t.Context(), "pay", "a", config.ReadOptions{}); !errors.Is(err, want) {
			t.Errorf("a barrier that fails with %v: %v, want %v", from, err, want)
		}
		if _, _, err := store.List(t.Context(), "pay", config.ListOptions{}, config.ReadOptions{}); !errors.Is(err, want) {
			t.Errorf("a barrier that fails with %v: %v, want %v", from, err, want)
		}
	}
}

func TestStalenessCountsFromTheBeginningOfTheLastBarrierThatSucceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, fake := newStore(t, config.StoreOptions{})
		staleness := func() time.Duration { return store.Standing().Staleness }
		if staleness() != config.NeverFresh {
			t.Errorf("before any barrier: %v", staleness())
		}
		get := func() { _, _, _ = store.Get(t.Context(), "pay", "a", config.ReadOptions{}) }
		fake.barrier = func(context.Context) error { time.Sleep(3 * time.Second); return nil }
		get()
		if staleness() != 3*time.Second {
			t.Errorf("after a barrier that took 3s: %v", staleness())
		}
		fake.barrier = func(context.Context) error { time.Sleep(time.Second); return config.ErrNoLeader }
		get()
		if staleness() != 4*time.Second {
			t.Errorf("after a barrier that failed: %v", staleness())
		}
		// A barrier that began earlier and ends later takes nothing back.
		fake.barrier = func(context.Context) error { time.Sleep(10 * time.Second); return nil }
		done := make(chan struct{})
		go func() { defer close(done); get() }()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		fake.barrier = nil
		get()
		<-done
		if staleness() != 5*time.Second {
			t.Errorf("after two barriers at once: %v", staleness())
		}
	})
}

func TestABarrierThatEndsDuringAReadSaysNothingOfItsAnswer(t *testing.T) {
	for _, o := range []config.ReadOptions{{Level: config.Local}, {Level: config.Session}, bounded(time.Minute)} {
		synctest.Test(t, func(t *testing.T) {
			store, fake := newStore(t, config.StoreOptions{})
			fake.apply(put("a", "1"))
			if err := store.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			// The reader is held up between its look at the state and its answer.
			fake.asked = func() {
				fake.asked = nil
				fake.apply(put("a", "2"))
				time.Sleep(time.Second)
				if err := store.Refresh(t.Context()); err != nil {
					t.Error(err)
				}
			}
			e, standing, err := store.Get(t.Context(), "pay", "a", o)
			if err != nil || string(e.Value) != "1" || standing.Revision != 1 {
				t.Fatalf("%v: %+v, %+v, %v", o.Level, e, standing, err)
			}
			if standing.Staleness != 2*time.Second {
				t.Errorf("%v: what a write replaced 1s ago, and a barrier looked at 2s ago, has an age of %v", o.Level, standing.Staleness)
			}
		})
	}
}

func TestASessionReadWaitsUntilItsRevisionIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, fake := newStore(t, config.StoreOptions{})
		run(t, store)
		fake.apply(put("a", "1"))
		session := config.ReadOptions{Level: config.Session, MinRevision: 3}
		values := make(chan string)
		go func() {
			e, standing, err := store.Get(t.Context(), "pay", "a", session)
			if err != nil || standing.Revision < 3 || standing.Level != config.Session {
				t.Errorf("%+v, %v", standing, err)
			}
			values <- string(e.Value)
		}()
		for _, value := range []string{"2", "3"} {
			synctest.Wait()
			if len(values) > 0 {
				t.Fatal("answered too early")
			}
			fake.apply(put("a", value))
		}
		if got := <-values; got != "3" {
			t.Errorf("value %s", got)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := store.Get(ctx, "pay", "a", config.ReadOptions{Level: config.Session, MinRevision: 4}); !errors.Is(err, config.ErrNotCaughtUp) {
			t.Errorf("a revision that doesn't come: %v", err)
		}
		if n := store.Topics(); n != 0 {
			t.Errorf("%d topics are left", n)
		}
	})
}

// unknownCommand is of a kind that no program knows.
type unknownCommand struct{}

func (unknownCommand) Encode() ([]byte, error) { return []byte{200, 1, 0x90}, nil }

func TestASessionReadAtAMemberThatCannotProceedIsRefusedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var removed atomic.Bool
		store, fake := newStore(t, config.StoreOptions{Ready: func() error {
			if removed.Load() {
				return config.ErrNotReady
			}
			return nil
		}})
		run(t, store)
		fake.apply(put("a", "1"))
		read := func(revision uint64) <-chan error {
			answer := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				_, _, err := store.Get(ctx, "pay", "a", config.ReadOptions{Level: config.Session, MinRevision: revision})
				answer <- err
			}()
			return answer
		}
		began, waiting := time.Now(), read(2)
		synctest.Wait()
		removed.Store(true)
		if err := <-waiting; !errors.Is(err, config.ErrNotReady) || time.Since(began) > time.Second {
			t.Errorf("one that was waiting: %v after %v", err, time.Since(began))
		}
		began = time.Now()
		if err := <-read(2); !errors.Is(err, config.ErrNotReady) || time.Since(began) > 0 {
			t.Errorf("one that comes later: %v after %v", err, time.Since(began))
		}
		if err := <-read(1); err != nil {
			t.Errorf("one that is satisfied: %v", err)
		}
		removed.Store(false)
		waiting = read(2)
		synctest.Wait()
		fake.apply(unknownCommand{})
		if err := <-waiting; !errors.Is(err, config.ErrParked) {
			t.Errorf("at a member that is parked: %v", err)
		}
	})
}

// TestSessionReadsBesideTheirWriteAreNotLeftWaiting lets the write come at any
// moment of many reads: no later one would wake them.
func TestSessionReadsBesideTheirWriteAreNotLeftWaiting(t *testing.T) {
	const rounds, readers = 500, 32
	store, fake := newStore(t, config.StoreOptions{})
	run(t, store)
	for revision := range uint64(rounds) {
		var reading sync.WaitGroup
		for range readers {
			reading.Go(func() {
				_, _, err := store.Get(context.Background(), "pay", "a", config.ReadOptions{Level: config.Session, MinRevision: revision + 1})
				if err != nil {
					t.Error(err)
				}
			})
		}
		fake.apply(put("a", "v"))
		reading.Wait()
	}
}

func TestAPageIsNeverOlderThanTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ahead, aheadLog := newStore(t, config.StoreOptions{})
		behind, behindLog := newStore(t, config.StoreOptions{})
		run(t, behind)
		aheadLog.apply(put("a", "1"), put("b", "1"), put("c", "1"))
		behindLog.apply(put("a", "1"))
		local := config.ReadOptions{Level: config.Local}
		first, _, err := ahead.List(t.Context(), "pay", config.ListOptions{Limit: 1}, local)
		if err != nil || first.Next == "" {
			t.Fatal(first, err)
		}
		next := config.ListOptions{Limit: 1, Cursor: first.Next}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := behind.List(ctx, "pay", next, local); !errors.Is(err, config.ErrNotCaughtUp) {
			t.Errorf("a page from a member that is behind: %v", err)
		}
		behindLog.apply(put("b", "1"), put("c", "1"))
		page, standing, err := behind.List(t.Context(), "pay", next, local)
		if err != nil || standing.Revision != 3 || page.Entries[0].Key != "b" {
			t.Errorf("%+v, %+v, %v", page, standing, err)
		}
	})
}

func TestRequestsThatBreakARuleReachNobody(t *testing.T) {
	store, fake := newStore(t, config.StoreOptions{})
	fake.refusal = errBroken
	fake.barrier = func(context.Context) error { return errBroken }
	for name, call := range map[string]func() error{
		"put":           func() error { _, err := store.Put(t.Context(), *put("a//b", "")); return err },
		"delete":        func() error { _, err := store.Delete(t.Context(), *del("")); return err },
		"get key":       func() error { _, _, err := store.Get(t.Context(), "pay", "..", config.ReadOptions{}); return err },
		"get namespace": func() error { _, _, err := store.Get(t.Context(), "", "a", config.ReadOptions{}); return err },
		"get level": func() error {
			_, _, err := store.Get(t.Context(), "pay", "a", config.ReadOptions{Level: 9})
			return err
		},
		"get minimum": func() error {
			_, _, err := store.Get(t.Context(), "pay", "a", config.ReadOptions{MinRevision: 1})
			return err
		},
		"list namespace": func() error {
			_, _, err := store.List(t.Context(), "P", config.ListOptions{}, config.ReadOptions{})
			return err
		},
		"list limit": func() error {
			_, _, err := store.List(t.Context(), "pay", config.ListOptions{Limit: -1}, config.ReadOptions{})
			return err
		},
		"list cursor": func() error {
			_, _, err := store.List(t.Context(), "pay", config.ListOptions{Cursor: strings.Repeat("a", 5000)}, config.ReadOptions{})
			return err
		},
	} {
		if err := call(); !errors.Is(err, config.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if _, err := config.NewStore(fake.state, fake, config.StoreOptions{MaxWatches: -1}); err == nil {
		t.Error("a negative limit was accepted")
	}
}

func TestAParkedMemberServesNothing(t *testing.T) {
	var why error
	store, fake := newStore(t, config.StoreOptions{Parked: func() error { return why }})
	if _, err := store.Put(t.Context(), *put("a", "1")); err != nil {
		t.Fatal(err)
	}
	follower, err := store.Follow("pay", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer follower.Close()
	levels := []config.ReadOptions{
		{Level: config.Linear}, {Level: config.Session, MinRevision: 1}, {Level: config.Bounded, MaxStaleness: time.Hour}, {Level: config.Local},
	}
	ask := func(o config.ReadOptions) error {
		_, _, err := store.Get(t.Context(), "pay", "a", o)
		return err
	}
	for _, o := range levels {
		if err := ask(o); err != nil {
			t.Errorf("%v, not parked: %v", o.Level, err)
		}
	}
	why = fmt.Errorf("%w: its state is wrong", config.ErrParked)
	for _, o := range levels {
		if err := ask(o); !errors.Is(err, config.ErrParked) {
			t.Errorf("%v: %v, want ErrParked", o.Level, err)
		}
	}
	if _, _, err := follower.Next(); !errors.Is(err, config.ErrParked) {
		t.Errorf("a follower: %v, want ErrParked", err)
	}
	fake.refusal = config.ErrParked
	if _, err := store.Put(t.Context(), *put("a", "2")); !errors.Is(err, config.ErrParked) || errors.Is(err, config.ErrOutcomeUnknown) {
		t.Errorf("a write: %v, want ErrParked", err)
	}
}

// TestAReadAcrossAHealingTellsNothingOlder parks the member after a read's barrier, puts
// an earlier state in the place of its own, and lets it serve again before the read has
// looked whether it may.
func TestAReadAcrossAHealingTellsNothingOlder(t *testing.T) {
	for _, o := range []config.ReadOptions{{Level: config.Linear}, {Level: config.Local}} {
		t.Run(o.Level.String(), func(t *testing.T) {
			var why error
			replace := func() {}
			store, fake := newStore(t, config.StoreOptions{
				Parked: func() error { return why },
				Ready:  func() error { replace(); return nil },
			})
			fake.barrier = func(context.Context) error { replace(); return nil }
			fake.apply(put("a", "1"))
			var earlier bytes.Buffer
			if _, err := fake.state.Snapshot().WriteTo(&earlier); err != nil {
				t.Fatal(err)
			}
			fake.apply(put("a", "2"))
			replace = func() {
				replace = func() {}
				why = config.ErrParked
				if err := fake.state.Restore(&earlier); err != nil {
					t.Fatal(err)
				}
				fake.index--
				fake.asked = func() {
					fake.asked = nil
					fake.apply(put("a", "2"))
					why = nil
				}
			}
			entry, _, err := store.Get(t.Context(), "pay", "a", o)
			if err == nil && string(entry.Value) != "2" || err != nil && !errors.Is(err, config.ErrParked) {
				t.Errorf("it read %v, %v; want 2 or ErrParked", entry, err)
			}
			if entry, _, err = store.Get(t.Context(), "pay", "a", o); err != nil || string(entry.Value) != "2" {
				t.Errorf("the next one read %v, %v", entry, err)
			}
		})
	}
}

// TestAReadThatWaitsIsToldThatTheMemberParks lets a read wait for a revision at a member
// that parks.
func TestAReadThatWaitsIsToldThatTheMemberParks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var parked atomic.Bool
		store, fake := newStore(t, config.StoreOptions{Parked: func() error {
			if parked.Load() {
				return config.ErrParked
			}
			return nil
		}})
		run(t, store)
		fake.apply(put("a", "1"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		waiting := make(chan error, 1)
		go func() {
			_, _, err := store.Get(ctx, "pay", "a", config.ReadOptions{Level: config.Session, MinRevision: 2})
			waiting <- err
		}()
		synctest.Wait()
		began := time.Now()
		parked.Store(true)
		if err := <-waiting; !errors.Is(err, config.ErrParked) || time.Since(began) > time.Second {
			t.Errorf("after %v it is told %v, want ErrParked", time.Since(began), err)
		}
	})
}
