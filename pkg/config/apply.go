package config

import (
	"errors"
	"fmt"
	"unique"
)

// execute decodes a command and carries it out.
func (s *State) execute(index uint64, command []byte) Result {
	fields, err := decodeCommand(command)
	if errors.Is(err, ErrUnknownCommand) {
		s.fault = fmt.Errorf("apply index %d: %w", index, err)
		return Result{Outcome: OutcomeUnknownCommand, Revision: s.revision}
	}
	if err != nil {
		return Result{Outcome: OutcomeMalformed, Revision: s.revision}
	}
	switch f := fields.(type) {
	case *putFields:
		return s.put(f)
	case *deleteFields:
		return s.delete(f)
	case *recoverFields:
		return s.recover(f)
	default:
		panic(fmt.Sprintf("config: a command decodes to %T, which nothing carries out", fields))
	}
}

func (s *State) put(f *putFields) Result {
	result := Result{Revision: s.revision}
	sp := s.spaces[f.Namespace]
	old := sp.get(f.Key)
	if old != nil {
		result.Current = old.ModRevision
	}
	if !(Precondition{f.IfKind, f.IfRevision}).holds(result.Current) {
		result.Outcome = OutcomeConflict
		return result
	}

	entry := &Entry{
		Key: f.Key, Value: f.Value,
		// A store holds few media types, many times each.
		MediaType:      unique.Make(f.MediaType).Value(),
		CreateRevision: s.revision + 1, ModRevision: s.revision + 1, Version: 1,
		TimeMillis: s.turn.stamp.TimeMillis,
	}
	if old != nil {
		entry.Key, entry.CreateRevision, entry.Version = old.Key, old.CreateRevision, old.Version+1
	}
	change := write{old: old, next: entry}
	growth := sp.growth(change)
	if growth > 0 && s.bytes+growth > s.limits.quotaBytes {
		result.Outcome = OutcomeQuota
		return result
	}
	s.commit(f.Namespace, "", growth, change)
	result.Outcome, result.Revision = OutcomeApplied, s.revision
	result.CreateRevision, result.Version = entry.CreateRevision, entry.Version
	return result
}

func (s *State) delete(f *deleteFields) Result {
	result := Result{Revision: s.revision}
	sp := s.spaces[f.Namespace]
	old := sp.get(f.Key)
	if old != nil {
		result.Current = old.ModRevision
	}
	if !(Precondition{f.IfKind, f.IfRevision}).holds(result.Current) {
		result.Outcome = OutcomeConflict
		return result
	}
	if old == nil {
		result.Outcome = OutcomeNotFound
		return result
	}

	change := write{old: old, next: s.tombstone(old)}
	s.commit(f.Namespace, "", sp.growth(change), change)
	result.Outcome, result.Revision = OutcomeApplied, s.revision
	return result
}
