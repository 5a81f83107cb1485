package config

import (
	"errors"
	"fmt"
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
	case *txnFields:
		return s.txn(f)
	case *rollbackFields:
		return s.rollback(f)
	case *settingsFields:
		return s.putSettings(f)
	case *namespaceSettingsFields:
		return s.putNamespaceSettings(f)
	case *attachFields:
		return s.attachSchema(f)
	case *detachFields:
		return s.detachSchema(f)
	case *guardedFields:
		return s.guarded(index, f)
	default:
		panic(fmt.Sprintf("config: a command decodes to %T, which nothing carries out", fields))
	}
}

func (s *State) put(f *putFields) Result {
	old := s.space(f.Namespace).get(f.Key)
	result := Result{Revision: s.revision, Current: old.revision()}
	if !(Precondition{f.IfKind, f.IfRevision}).holds(old) {
		result.Outcome = OutcomeConflict
		return result
	}
	next := s.successor(old, f.Key, f.Value, f.MediaType)
	result.Outcome = s.offer(f.Namespace, "", write{old: old, next: next})
	if result.Outcome == OutcomeApplied {
		result.Revision, result.Changes = s.revision, 1
		result.CreateRevision, result.Version = next.CreateRevision, next.Version
	}
	return result
}

func (s *State) delete(f *deleteFields) Result {
	old := s.space(f.Namespace).get(f.Key)
	result := Result{Revision: s.revision, Current: old.revision()}
	if !(Precondition{f.IfKind, f.IfRevision}).holds(old) {
		result.Outcome = OutcomeConflict
		return result
	}
	if old == nil {
		result.Outcome = OutcomeNotFound
		return result
	}
	result.Outcome = s.offer(f.Namespace, "", write{old: old, next: s.tombstone(old)})
	result.Revision, result.Changes = s.revision, 1
	return result
}
