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
	}
	growth := entry.chargeBytes()
	if old != nil {
		entry.Key, entry.CreateRevision, entry.Version = old.Key, old.CreateRevision, old.Version+1
		growth -= old.chargeBytes()
	}
	if sp == nil {
		growth += namespaceOverheadBytes
	}
	if growth > 0 && s.bytes+growth > s.quotaBytes {
		result.Outcome = OutcomeQuota
		return result
	}

	if sp == nil {
		sp = new(space)
		s.spaces[f.Namespace] = sp
	}
	sp.entries.Set(entry.Key, entry)
	s.bytes += growth
	if old == nil {
		s.keys++
	}
	s.commit(f.Namespace, entry.Key)
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

	sp.entries.Delete(f.Key)
	s.bytes -= old.chargeBytes()
	s.keys--
	if sp.entries.Len() == 0 {
		delete(s.spaces, f.Namespace)
		s.bytes -= namespaceOverheadBytes
	}
	s.commit(f.Namespace, old.Key)
	result.Outcome, result.Revision = OutcomeApplied, s.revision
	return result
}

// commit gives the change of one key its revision.
func (s *State) commit(namespace, key string) {
	s.revision++
	s.touched[namespace] = struct{}{}
	s.changes.add(namespace, key)
}
