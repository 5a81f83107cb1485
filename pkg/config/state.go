package config

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"sync/atomic"

	"github.com/tidwall/btree"
)

// State is the deterministic machine that the log drives. One goroutine calls
// Apply, Publish, Snapshot and Restore; View, Fault and watches may be used by
// any. A State starts no goroutine and reads no clock.
type State struct {
	contents

	// touched names the namespaces that changed since the last Publish, and
	// changes the keys.
	touched map[string]struct{}
	changes changeList
	turn    turn

	hasher hash.Hash
	// scratch is used by chain and the scrubber alone, again and again.
	scratch []byte
	fault   error
	// setBacks counts the restores that led to an earlier index.
	setBacks uint64
	view     atomic.Pointer[View]
	hub      hub
}

// contents is all that the log determines: what a snapshot holds and a restore
// replaces.
type contents struct {
	index    uint64
	revision uint64
	hash     Hash
	bytes    int64
	keys     int
	settings Settings
	// settingsRevision is the revision that last changed settings, 0 before the
	// first, and configured the number of namespaces that have settings.
	settingsRevision uint64
	configured       int
	// schemaBytes is what all schemas count together.
	schemaBytes int64
	// spaces holds the namespaces that have anything, now or within history.
	spaces  btree.Map[string, *space]
	history history
	scrub   scrubCursor
	// sessions holds what is remembered of members that propose.
	sessions map[uint64]*session
	// kept holds what writes with an idempotency key came to.
	kept keptResults
	// frozen holds what of spaces was published.
	frozen btree.Map[string, *space]
}

// space returns the content of a namespace, nil when it has none.
func (c *contents) space(name string) *space {
	sp, _ := c.spaces.Get(name)
	return sp
}

// Stamp is when the leader took an entry of the log.
type Stamp struct {
	// TimeMillis is the leader's wall clock, in milliseconds since 1970. It is
	// kept to be shown, and decides nothing.
	TimeMillis uint64
	// ElapsedMillis is what a monotonic clock of the leader counted since its
	// entry before. History ages by the sum of it, and by nothing else.
	ElapsedMillis uint64
}

// turn is what belongs to the index that is being applied.
type turn struct {
	stamp Stamp
	// added is how many bytes it added to history.
	added int64
	// validated is what guard says of the command, 0 without one.
	validated uint64
}

// NewState returns the empty state, from before the first index.
func NewState() *State {
	s := &State{
		contents: contents{settings: initialSettings, sessions: map[uint64]*session{}, kept: newKeptResults()},
		touched:  map[string]struct{}{},
		hasher:   sha256.New(),
	}
	s.hub.init()
	s.publish()
	return s
}

// Apply takes the log's next index, made at stamp, into the state and returns
// what it did. command is nil for an index that holds none, such as a no-op or a change of
// membership: the state sees every index. Of several copies of one proposal,
// which have the same member, boot and sequence in from, the first is carried
// out; the others change nothing and return its result, or OutcomeForgotten once
// nobody can wait for that. Readers see the effect after the next Publish. Apply
// keeps no part of command.
//
// An index out of order is a fault of the caller and panics.
func (s *State) Apply(index uint64, stamp Stamp, from Origin, command []byte) Result {
	if s.fault != nil {
		return Result{Outcome: OutcomeUnknownCommand, Revision: s.revision}
	}
	if index != s.index+1 {
		panic(fmt.Sprintf("config: index %d applied after %d", index, s.index))
	}
	s.turn = turn{stamp: stamp}
	// A change that follows a long silence is not as old as the silence.
	s.history.ageMillis += stamp.ElapsedMillis
	s.kept.expire(s.history.ageMillis, s.settings.IdempotencyWindowMillis)
	result := Result{Revision: s.revision}
	if len(command) > 0 {
		result = s.executeOnce(index, from, command)
	}
	if s.fault == nil {
		s.index = index
		s.prune()
		s.chain(from, command, result)
	}
	return result
}

// Publish makes everything applied so far visible to readers and wakes those
// who wait for it. Call it after each batch and before the results of its
// commands are handed out, so that a writer can read what it wrote. Its cost
// doesn't grow with the size of the state, nor with the number of readers.
func (s *State) Publish() { s.publish() }

// View returns what was published last.
func (s *State) View() *View { return s.view.Load() }

// Fault returns why the state can't follow the log any further, or nil while
// it can. It is an ErrUnknownCommand: another release may know the command, so
// skipping it could make this member differ from the others. The state keeps
// what it had before that index and refuses everything after it; the member
// must stop serving, and a program that knows the command can start from the
// same log.
func (s *State) Fault() error { return s.view.Load().fault }

// publish builds the next view from the spaces that were touched.
func (s *State) publish() {
	for name := range s.touched {
		if sp := s.space(name); sp != nil {
			s.frozen.Set(name, sp.freeze())
		} else {
			s.frozen.Delete(name)
		}
	}
	clear(s.touched)
	view := &View{
		Index: s.index, Revision: s.revision, Hash: s.hash, LiveBytes: s.bytes, Keys: s.keys,
		HistoryBytes: s.history.bytes, Settings: s.settings, SettingsRevision: s.settingsRevision, KeptResults: s.kept.byIndex.Len(), oldest: s.history.oldest,
		spaces: s.frozen.Copy(), journal: s.history.journal.freeze(), fault: s.fault, setBacks: s.setBacks,
	}
	s.view.Store(view)
	s.hub.announce(&s.changes, s.revision)
}

// chain adds an index to the hash.
func (s *State) chain(from Origin, command []byte, result Result) {
	numbers := s.scratch[:0]
	for _, n := range [17]uint64{
		s.index, result.verdict(), result.Revision, result.Current,
		result.CreateRevision, result.Version, uint64(s.bytes),
		from.Member, from.Boot, from.Sequence, from.Answered,
		s.turn.stamp.TimeMillis, s.history.ageMillis,
		s.history.oldest, uint64(s.history.bytes),
		uint64(s.kept.byIndex.Len()), uint64(s.kept.bytes),
	} {
		numbers = binary.BigEndian.AppendUint64(numbers, n)
	}
	s.scratch = numbers
	s.hasher.Reset()
	s.hasher.Write(s.hash[:])
	s.hasher.Write(numbers)
	if result.Txn != nil {
		s.hasher.Write(result.Txn.encode(nil))
	}
	s.hasher.Write(command)
	if s.index%ScrubInterval == 0 {
		s.scrubSlice()
	}
	s.hasher.Sum(s.hash[:0])
}
