package config

import (
	"context"
	"fmt"
)

// TryPut tells what Put would do now, with the error that Put would return, and
// changes nothing. It checks the request, the schemas, the precondition and the quotas against
// what a linear read sees. It promises nothing: another write may come first,
// and whether the members have a leader and room on their disks for it is only
// found out by writing. The result's Revision is the store's. Its errors are
// those of Put but ErrOutcomeUnknown and ErrDiskFull, and ErrNotCaughtUp.
func (s *Store) TryPut(ctx context.Context, p Put) (Result, error) {
	fields, err := p.fields()
	if err != nil {
		return Result{}, err
	}
	view, _, err := s.View(ctx, ReadOptions{})
	if err != nil {
		return Result{}, fmt.Errorf("try to put %s/%s: %w", p.Namespace, p.Key, err)
	}
	if _, err := s.validate(ctx, view, p.Namespace, p.values()); err != nil {
		return Result{}, fmt.Errorf("try to put %s/%s: %w", p.Namespace, p.Key, err)
	}
	result := view.tryPut(fields)
	if err := result.Err(); err != nil {
		return result, fmt.Errorf("try to put %s/%s: %w", p.Namespace, p.Key, err)
	}
	return result, nil
}

// tryPut is State.put without its effect.
func (v *View) tryPut(f *putFields) Result {
	result := Result{Revision: v.Revision}
	sp := v.space(f.Namespace)
	old := sp.get(f.Key)
	next := &Entry{Key: f.Key, Value: f.Value, MediaType: f.MediaType, CreateRevision: v.Revision + 1, Version: 1}
	if old != nil {
		result.Current = old.ModRevision
		next.CreateRevision, next.Version = old.CreateRevision, old.Version+1
	}
	if !(Precondition{f.IfKind, f.IfRevision}).holds(old) {
		result.Outcome = OutcomeConflict
		return result
	}
	result.Outcome = v.Settings.admit(sp, v.LiveBytes, sp.growth(write{old: old, next: next}))
	if result.Outcome == OutcomeApplied {
		result.Changes = 1
		result.CreateRevision, result.Version = next.CreateRevision, next.Version
	}
	return result
}

// TryRollback tells what Rollback would do now, with the error that Rollback would
// return, and changes nothing. It checks the request, history, the schemas and the
// quotas against what a linear read sees, which is the view that it returns. It
// promises as little as TryPut, and its errors are those of Rollback but
// ErrOutcomeUnknown and ErrDiskFull, and ErrNotCaughtUp.
func (s *Store) TryRollback(ctx context.Context, r Rollback) (*View, Standing, Result, error) {
	fields := rollbackFields{Namespace: r.Namespace, Prefix: r.Prefix, To: r.To, Reason: r.Reason}
	if err := fields.check(); err != nil {
		return nil, Standing{}, Result{}, err
	}
	view, standing, err := s.View(ctx, ReadOptions{})
	if err == nil {
		err = view.CheckRevision(r.To)
	}
	if err == nil {
		_, err = s.validate(ctx, view, r.Namespace, r.values(view))
	}
	var result Result
	if err == nil {
		result = view.tryRollback(&fields)
		err = result.Err()
	}
	if err != nil {
		return nil, Standing{}, result, fmt.Errorf("try the rollback of %s/%s to %d: %w", r.Namespace, r.Prefix, r.To, err)
	}
	return view, standing, result, nil
}

// tryRollback is State.rollback without its effect, to a revision that the view
// can be read at.
func (v *View) tryRollback(f *rollbackFields) Result {
	result := Result{Revision: v.Revision}
	sp := v.space(f.Namespace)
	writes, ok := sp.backTo(f, &v.journal, v.Revision, func(now, then *Entry) *Entry {
		if then == nil {
			return &Entry{Key: now.Key}
		}
		return then
	})
	if !ok {
		result.Outcome = OutcomeTooLarge
		return result
	}
	if result.Outcome = v.Settings.admit(sp, v.LiveBytes, sp.growth(writes...)); result.Outcome == OutcomeApplied {
		result.Changes = uint32(len(writes)) //nolint:gosec // at most MaxRevisionChanges
	}
	return result
}
