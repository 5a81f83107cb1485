package config

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Get reads one key. The entry is nil when the key is absent, which is no
// error. Errors: ErrInvalid, ErrNoLeader, ErrOverloaded, ErrStopping,
// ErrParked, ErrNotCaughtUp; with Session also ErrTooManyWatches and ErrNotReady, with
// Local ErrNotReady, and with Bounded ErrTooStale in place of all but ErrParked; with
// ReadOptions.At also ErrPruned and ErrFutureRevision.
func (s *Store) Get(ctx context.Context, namespace, key string, o ReadOptions) (*Entry, Standing, error) {
	if err := CheckNamespace(namespace); err != nil {
		return nil, Standing{}, err
	}
	if err := CheckKey(key); err != nil {
		return nil, Standing{}, err
	}
	view, standing, err := s.View(ctx, o)
	if err != nil {
		return nil, Standing{}, fmt.Errorf("get %s/%s: %w", namespace, key, err)
	}
	if o.At == 0 {
		return view.Get(namespace, key), standing, nil
	}
	return view.space(namespace).at(key, o.At), standing, nil
}

// List reads one page of a namespace's keys. Its errors are those of Get.
func (s *Store) List(ctx context.Context, namespace string, list ListOptions, o ReadOptions) (Page, Standing, error) {
	if err := CheckNamespace(namespace); err != nil {
		return Page{}, Standing{}, err
	}
	if err := list.check(); err != nil {
		return Page{}, Standing{}, err
	}
	from := list.Prefix
	if list.Cursor != "" {
		cursor, err := decodeCursor(namespace, list)
		if err != nil {
			return Page{}, Standing{}, err
		}
		if o.At != 0 && o.At != cursor.Revision {
			return Page{}, Standing{}, invalid("cursor", "it continues a listing at revision %d, not %d", cursor.Revision, o.At)
		}
		from, o.At = after(cursor.Last), cursor.Revision
	}
	page, standing, err := s.page(ctx, namespace, list, from, o)
	if err != nil {
		return Page{}, Standing{}, fmt.Errorf("list %s/%s: %w", namespace, list.Prefix, err)
	}
	return page, standing, nil
}

// page reads the page of a listing that begins at the key from.
func (s *Store) page(ctx context.Context, namespace string, list ListOptions, from string, o ReadOptions) (Page, Standing, error) {
	view, standing, err := s.newest(ctx, o)
	if err == nil && list.Cursor != "" && view.Revision < o.At {
		// Another member made the page before and is ahead of this one.
		if err = s.awaitRevision(ctx, o.At); err == nil {
			view = s.state.View()
			err = s.refusal(view)
		}
	}
	if err == nil {
		standing, err = asOf(view, standing, o.At)
	}
	if err != nil {
		return Page{}, Standing{}, err
	}
	page, last := view.list(namespace, list, from, standing.Revision)
	if last != "" {
		next := cursorFields{Namespace: namespace, Prefix: list.Prefix, Delimiter: list.Delimiter, Last: last, Revision: standing.Revision}
		if page.Next, err = next.encode(); err != nil {
			return Page{}, Standing{}, err
		}
	}
	return page, standing, nil
}

// Standing says what an answer of the local state would be worth now.
func (s *Store) Standing() Standing {
	_, standing := s.look(Local)
	return standing
}

// View returns a view that is as fresh as o demands and, if o says At, can be
// read there. The standing is that of an answer from it, at its revision or at
// o.At. Its errors are those of Get.
func (s *Store) View(ctx context.Context, o ReadOptions) (*View, Standing, error) {
	view, standing, err := s.newest(ctx, o)
	if err != nil {
		return nil, Standing{}, err
	}
	standing, err = asOf(view, standing, o.At)
	return view, standing, err
}

// asOf returns the standing of an answer from a view at a revision, 0 for the
// view's own.
func asOf(view *View, standing Standing, at uint64) (Standing, error) {
	standing.Revision = view.Revision
	if at == 0 {
		return standing, nil
	}
	standing.Revision = at
	return standing, view.CheckRevision(at)
}

// newest returns a view that is as fresh as o demands, whatever it says At.
func (s *Store) newest(ctx context.Context, o ReadOptions) (*View, Standing, error) {
	if err := o.check(); err != nil {
		return nil, Standing{}, err
	}
	before := s.state.View()
	err := s.refusal(before)
	if err != nil {
		return nil, Standing{}, err
	}
	switch o.Level {
	case Linear:
		err = s.barrier(ctx)
	case Session:
		err = s.awaitRevision(ctx, o.MinRevision)
	case Bounded:
		err = s.awaitFreshness(ctx, o.MaxStaleness)
	case Local:
		// Whatever is here will do, unless it is less than was here before.
		if s.ready != nil {
			err = s.ready()
		}
	}
	if err != nil {
		return nil, Standing{}, err
	}
	view, standing := s.look(o.Level)
	if err := s.refusal(view); err != nil {
		return nil, Standing{}, err
	}
	if view.setBacks != before.setBacks {
		// The member was parked and healed meanwhile: what was waited for need not be in
		// this view.
		return nil, Standing{}, fmt.Errorf("%w: the state was replaced while it was read", ErrParked)
	}
	return view, standing, nil
}

// Refresh brings the local state up to what was acknowledged anywhere before the
// call, as a linear read does. Called now and then, it bounds the Staleness of
// local reads while there is a leader. Its errors are those of a linear read.
func (s *Store) Refresh(ctx context.Context) error { return s.barrier(ctx) }

// barrier passes a read barrier and remembers when that one began.
func (s *Store) barrier(ctx context.Context) error {
	began := int64(s.now().Sub(s.made))
	if err := s.replicator.ReadBarrier(ctx); err != nil {
		return lateRead(err)
	}
	for {
		newest := s.freshNanos.Load()
		if began <= newest || s.freshNanos.CompareAndSwap(newest, began) {
			return nil
		}
	}
}

// standstillInterval is how often a read that waits for a revision makes sure that
// the member can still reach it.
const standstillInterval = 250 * time.Millisecond

// awaitRevision waits until the local state has reached a revision. A member that
// is parked or not ready says so at once: another one is the better bet.
func (s *Store) awaitRevision(ctx context.Context, revision uint64) error {
	reached := s.Revision() >= revision // as it mostly is, and then needs no watch
	for !reached {
		err := s.standstill()
		if err == nil {
			reached, err = s.awaitChange(ctx, revision)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// standstill tells why the local state won't move on for now, nil when it may.
func (s *Store) standstill() error {
	if err := s.state.Fault(); err != nil {
		return fmt.Errorf("%w: %w", ErrParked, err)
	}
	if s.parked != nil {
		if err := s.parked(); err != nil {
			return err
		}
	}
	if s.ready == nil {
		return nil
	}
	return s.ready()
}

// awaitChange tells whether the state has reached a revision or, if it hasn't,
// waits for any change, and not for long.
func (s *Store) awaitChange(ctx context.Context, revision uint64) (reached bool, err error) {
	watch, err := s.Watch(WatchAll())
	if err != nil {
		return false, err
	}
	defer watch.Close()
	if s.Revision() >= revision {
		return true, nil
	}
	look := time.NewTimer(standstillInterval)
	defer look.Stop()
	select {
	case <-watch.Changed():
		return false, nil
	case <-look.C:
		return false, nil
	case <-ctx.Done():
		return false, fmt.Errorf("%w: revision %d was asked for and %d is here: %w",
			ErrNotCaughtUp, revision, s.Revision(), context.Cause(ctx))
	}
}

// look returns the state as it is, and what an answer from it is worth.
func (s *Store) look(level Level) (*View, Standing) {
	// Before the view: a barrier that ends in between says nothing of it.
	fresh := s.freshNanos.Load()
	view := s.state.View()
	standing := Standing{Revision: view.Revision, Level: level, LeaderKnown: s.LeaderKnown(), Staleness: NeverFresh}
	// A linear answer is fresh by definition and needs no clock.
	if level == Linear {
		standing.Staleness = 0
	} else if fresh >= 0 {
		standing.Staleness = s.now().Sub(s.made) - time.Duration(fresh)
	}
	return view, standing
}

// lateRead gives a read that ran out of time the error that says so.
func lateRead(err error) error {
	if errors.Is(err, ErrNotCaughtUp) {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w: %w", ErrNotCaughtUp, err)
	}
	return err
}
