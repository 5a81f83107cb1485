package badgerlog

import (
	"errors"

	"github.com/dgraph-io/badger/v4"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// load reads the records and the snapshot files, verifies them against each
// other and against the watermark, and decides what this member holds. An
// ErrDamaged means that nothing of these records can be used.
func (l *Log) load() error {
	found := false
	err := l.db.View(func(txn *badger.Txn) (err error) {
		if found, err = l.readBounds(txn); err == nil && found {
			err = l.scanSound(txn)
		}
		return err
	})
	if err != nil {
		return err
	}
	if !found {
		if err := l.beginEmpty(); err != nil {
			return err
		}
	}
	if err := l.loadSnapshots(); err != nil {
		return err
	}
	if err := l.settle(found); err != nil {
		return err
	}
	v := l.view.Load()
	l.state.HardState = l.head.hard
	l.state.Snapshot = l.base.newest()
	l.state.Base, l.state.Last, l.state.Terms = v.base, v.last, v.terms
	return nil
}

// readBounds reads the head and the base. There are none in a log that was
// never written to, which holds no other record either.
func (l *Log) readBounds(txn *badger.Txn) (found bool, err error) {
	value, err := readRecord(txn, headKey)
	if errors.Is(err, badger.ErrKeyNotFound) {
		it := txn.NewIterator(badger.IteratorOptions{})
		defer it.Close()
		if it.Rewind(); it.Valid() {
			return false, damaged("there are records but no head record")
		}
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if l.head, err = decodeHead(value); err != nil {
		return false, err
	}
	value, err = readRecord(txn, baseKey)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return true, nil // The log was never compacted.
	}
	if err != nil {
		return false, err
	}
	if l.base, err = decodeBase(value); err == nil && l.head.end.index < l.base.at.Index {
		err = damaged("the log ends with entry %d and begins after entry %d", l.head.end.index, l.base.at.Index)
	}
	return true, err
}

func readRecord(txn *badger.Txn, key []byte) ([]byte, error) {
	item, err := txn.Get(key)
	if err != nil {
		return nil, err
	}
	return item.ValueCopy(nil)
}

// scanSound reads the log up to its end, or up to the entry before the first
// damaged one.
func (l *Log) scanSound(txn *badger.Txn) error {
	l.promised = l.head.end
	sound, err := l.scan(txn, l.head.end.index)
	if errors.Is(err, ErrDamaged) {
		l.options.Logger.Error("the log is damaged; keeping the entries before that place", "kept", sound, "error", err)
		_, err = l.scan(txn, sound)
	}
	return err
}

// scan reads every entry from first to last and verifies it: checksum, index,
// chain hash, and that terms never fall. What lies outside is dead; only its
// keys are looked at. With an error it returns the last entry that is sound: the
// one right before the damage may itself be wrong, since no hash follows it.
func (l *Log) scan(txn *badger.Txn, last raft.Index) (sound raft.Index, err error) {
	at := l.base.at
	s := scanner{log: l, last: last, next: at.Index + 1, end: l.base.position()}
	s.view = view{base: at.Index, last: at.Index, snapshots: l.base.snapshots,
		terms: []raft.TermRun{{Term: at.Term, First: at.Index}}}
	l.graves = newGraves()
	l.state.Memberships = nil
	if at.Index > 0 {
		l.state.Memberships = []raft.MembershipAt{{Index: at.MembershipIndex, Membership: at.Membership}}
	}
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{entryKeyPrefix}})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		if err := s.add(it.Item()); err != nil {
			return s.sound(), err
		}
	}
	// Badger's iterator ends early, without an error, where it can't read.
	if s.next != last+1 {
		return s.sound(), damaged("entry %d is missing; the log should end with entry %d", s.next, last)
	}
	if s.end != l.promised && last == l.promised.index {
		return s.sound(), damaged("the log up to entry %d is not the one that was written: its chain hash or its term differs", last)
	}
	l.head.end = s.end
	l.publish(&s.view)
	return last, nil
}

// scanner is where scan stands.
type scanner struct {
	log    *Log
	reader entryReader
	// last is the end of the log, next the index that must come next, and end
	// the log before it.
	last raft.Index
	next raft.Index
	end  position
	view view
}

// sound returns the last entry that the hash in the next one has confirmed.
func (s *scanner) sound() raft.Index { return max(s.next, s.view.base+2) - 2 }

func (s *scanner) add(item *badger.Item) error {
	i, part, ok := parseEntryKey(item.Key())
	if !ok {
		return damaged("there is a record with the unknown key %x", item.Key())
	}
	graves := s.log.graves
	if i <= s.log.base.at.Index || i > s.last {
		if part == 0 {
			graves.bury(i, i)
		} else {
			graves.parts[i] = max(part+1, graves.parts[i])
		}
		return nil
	}
	if i != s.next {
		return damaged("entry %d is missing: the next record is of entry %d", s.next, i)
	}
	var complete bool
	err := item.Value(func(value []byte) (err error) {
		complete, err = s.reader.add(i, part, value)
		return err
	})
	if err != nil || !complete {
		return err
	}
	return s.entry()
}

// entry takes a complete entry.
func (s *scanner) entry() error {
	e := s.reader.entry
	if s.reader.chain != s.end.chain {
		return damaged("entry %d follows another log: the chain hash before it differs", e.Index)
	}
	if e.Term < s.end.term {
		return damaged("entry %d of term %d follows one of term %d", e.Index, e.Term, s.end.term)
	}
	if s.reader.parts > 1 {
		s.log.graves.parts[e.Index] = s.reader.parts
	}
	if e.Membership != nil {
		s.log.state.Memberships = append(s.log.state.Memberships, raft.MembershipAt{Index: e.Index, Membership: *e.Membership})
	}
	s.end = position{index: e.Index, term: e.Term, chain: s.log.chain.extend(s.end.chain, &e, s.reader.data)}
	s.view = *s.view.appended(s.view.last, []raft.Entry{e})
	s.next++
	return nil
}
