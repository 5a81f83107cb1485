package badgerlog

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/y"

	"github.com/conclave-dev/conclave/pkg/raft"
)

const (
	logDirectory      = "log"
	snapshotDirectory = "snapshots"
)

// Open opens the log in a directory that Format has made. It reads and verifies
// the whole log, so its time grows with the log's length. The error says which
// directory is meant and what can be done; it is ErrNotFormatted for an empty
// directory and wraps ErrDamaged when the member must be replaced.
func Open(dir string, options Options) (*Log, error) {
	return open(dir, options, badgerOptions)
}

// open is Open with another way to make Badger's options, for tests that want
// small tables.
func open(dir string, options Options, badgerOptions func(string, badger.Logger) badger.Options) (*Log, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	options = options.withDefaults()
	identity, err := ReadIdentity(dir)
	if err != nil {
		return nil, err
	}
	if options.ClusterID != "" && options.ClusterID != identity.ClusterID {
		return nil, fmt.Errorf("data directory %s belongs to cluster %q, not %q: name the directory of this cluster's member, or an empty one",
			dir, identity.ClusterID, options.ClusterID)
	}
	lock, err := lockDirectory(dir)
	if err != nil {
		return nil, err
	}
	l := &Log{
		dir:      dir,
		identity: identity,
		options:  options,
		lock:     lock,
		failure:  newFailure(),
		closing:  make(chan struct{}),
		graves:   newGraves(),
		chain:    newChainer(),
	}
	if l.boot, err = countStart(dir); err == nil {
		err = l.start(badgerOptions)
	}
	if err != nil {
		if errors.Is(err, ErrDamaged) {
			err = fmt.Errorf("%w; replace this member by one with an empty directory, or restore the directory from a copy", err)
		}
		return nil, errors.Join(fmt.Errorf("open log %s: %w", dir, err), lock.Close())
	}
	return l, nil
}

// start opens Badger and reads everything.
func (l *Log) start(badgerOptions func(string, badger.Logger) badger.Options) error {
	for _, name := range []string{logDirectory, snapshotDirectory} {
		if err := makeDirectory(filepath.Join(l.dir, name)); err != nil {
			return err
		}
	}
	logger := badgerLogger{logger: l.options.Logger, failure: l.failure}
	db, err := badger.Open(badgerOptions(filepath.Join(l.dir, logDirectory), logger))
	if err != nil && strings.Contains(err.Error(), y.ErrChecksumMismatch.Error()) {
		return damaged("badger: %v", err)
	}
	if err != nil {
		return err
	}
	l.db = db
	// Badger may print that it leaves a damaged table out, and go on.
	if err = l.failure.get(); err != nil {
		err = damaged("%v", err)
	} else {
		err = l.load()
	}
	if err == nil {
		err = l.failure.arm(l.options.OnFailure)
	}
	if err != nil {
		return errors.Join(err, db.Close())
	}
	return nil
}

// load reads the records and the files, and verifies them against each other.
func (l *Log) load() error {
	err := l.db.View(func(txn *badger.Txn) error {
		found, err := l.readBounds(txn)
		if err != nil || !found {
			return err
		}
		return l.scan(txn)
	})
	if err != nil {
		return err
	}
	if l.view.Load() == nil {
		l.publish(&view{terms: []raft.TermRun{{}}})
	}
	if err := l.loadSnapshots(); err != nil {
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
	l.base, err = decodeBase(value)
	return true, err
}

func readRecord(txn *badger.Txn, key []byte) ([]byte, error) {
	item, err := txn.Get(key)
	if err != nil {
		return nil, err
	}
	return item.ValueCopy(nil)
}

// scan reads every entry from first to last and verifies it: checksum, index,
// chain hash, and that terms never fall. What lies outside is dead; only its
// keys are looked at.
func (l *Log) scan(txn *badger.Txn) error {
	at := l.base.at
	s := scanner{log: l, next: at.Index + 1, chain: at.ChainHash}
	s.view = view{base: at.Index, last: at.Index, snapshots: l.base.snapshots,
		terms: []raft.TermRun{{Term: at.Term, First: at.Index}}}
	if at.Index > 0 {
		l.state.Memberships = []raft.MembershipAt{{Index: at.MembershipIndex, Membership: at.Membership}}
	}
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{entryKeyPrefix}})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		if err := s.add(it.Item()); err != nil {
			return err
		}
	}
	// Badger's iterator ends early, without an error, where it can't read.
	if s.next != l.head.last+1 {
		return damaged("entry %d is missing; the log should end with entry %d", s.next, l.head.last)
	}
	if s.chain != l.head.chain {
		return damaged("the log up to entry %d is not the one that was written: its chain hash differs", l.head.last)
	}
	l.publish(&s.view)
	return nil
}

// scanner is where scan stands.
type scanner struct {
	log    *Log
	reader entryReader
	// next is the index that must come next, chain the hash of the log before.
	next  raft.Index
	chain uint64
	view  view
}

func (s *scanner) add(item *badger.Item) error {
	i, part, ok := parseEntryKey(item.Key())
	if !ok {
		return damaged("there is a record with the unknown key %x", item.Key())
	}
	graves := s.log.graves
	if i <= s.log.base.at.Index || i > s.log.head.last {
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
	if s.reader.chain != s.chain {
		return damaged("entry %d follows another log: the chain hash before it differs", e.Index)
	}
	if term := s.view.term(s.view.last); e.Term < term {
		return damaged("entry %d of term %d follows one of term %d", e.Index, e.Term, term)
	}
	if s.reader.parts > 1 {
		s.log.graves.parts[e.Index] = s.reader.parts
	}
	if e.Membership != nil {
		s.log.state.Memberships = append(s.log.state.Memberships, raft.MembershipAt{Index: e.Index, Membership: *e.Membership})
	}
	s.chain = s.log.chain.extend(s.chain, &e, s.reader.data)
	s.view = *s.view.appended(s.view.last, []raft.Entry{e})
	s.next++
	return nil
}
