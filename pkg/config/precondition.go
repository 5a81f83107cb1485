package config

// Precondition says what must hold of a key, at the moment a command is
// applied, for the command to take effect. The zero value always holds.
type Precondition struct {
	kind     preconditionKind
	revision uint64
}

// preconditionKind is stored in the log: numbers are never given a new meaning.
type preconditionKind uint8

const (
	conditionNone       preconditionKind = 0
	conditionAtRevision preconditionKind = 1
	conditionExists     preconditionKind = 2
	// conditionEnd is one past the last kind.
	conditionEnd preconditionKind = 3
)

// IfRevision holds while the key's modification revision is exactly revision.
// Revision 0 is that of an absent key.
func IfRevision(revision uint64) Precondition {
	return Precondition{kind: conditionAtRevision, revision: revision}
}

// IfAbsent holds while the key doesn't exist.
func IfAbsent() Precondition { return IfRevision(0) }

// IfExists holds while the key exists, whatever its revision.
func IfExists() Precondition { return Precondition{kind: conditionExists} }

// holds tells whether the precondition allows a command on a key whose
// modification revision is current, 0 when absent.
func (p Precondition) holds(current uint64) bool {
	switch p.kind {
	case conditionAtRevision:
		return current == p.revision
	case conditionExists:
		return current != 0
	default:
		return true
	}
}
