package config

// Precondition says what must hold of a key, at the moment a command is
// applied, for the command to take effect. The zero value always holds.
type Precondition struct {
	kind preconditionKind
	// number is a revision or a version.
	number uint64
}

// preconditionKind is stored in the log: numbers are never given a new meaning.
type preconditionKind uint8

const (
	conditionNone       preconditionKind = 0
	conditionAtRevision preconditionKind = 1
	conditionExists     preconditionKind = 2
	// conditionEnd is one past the last kind that a put or delete takes.
	conditionEnd preconditionKind = 3
	// conditionAtVersion stands in transactions only.
	conditionAtVersion preconditionKind = 3
)

// IfRevision holds while the key's modification revision is exactly revision.
// Revision 0 is that of an absent key.
func IfRevision(revision uint64) Precondition {
	return Precondition{kind: conditionAtRevision, number: revision}
}

// IfAbsent holds while the key doesn't exist.
func IfAbsent() Precondition { return IfRevision(0) }

// IfExists holds while the key exists, whatever its revision.
func IfExists() Precondition { return Precondition{kind: conditionExists} }

// IfVersion holds while the key was written so many times since it was created.
// Version 0 is that of an absent key. Only transactions take it.
func IfVersion(version uint64) Precondition {
	return Precondition{kind: conditionAtVersion, number: version}
}

// holds tells whether the precondition allows a command on a key whose live entry
// is current, nil when the key is absent.
func (p Precondition) holds(current *Entry) bool {
	switch p.kind {
	case conditionAtRevision:
		return current.revision() == p.number
	case conditionExists:
		return current != nil
	case conditionAtVersion:
		return current == nil && p.number == 0 || current != nil && current.Version == p.number
	default:
		return true
	}
}

// allows is holds for what has a revision and no versions.
func (p Precondition) allows(revision uint64) bool {
	if revision == 0 {
		return p.holds(nil)
	}
	return p.holds(&Entry{ModRevision: revision})
}
