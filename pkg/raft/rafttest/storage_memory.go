package rafttest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"sync"

	"github.com/conclave-dev/conclave/pkg/raft"
)

var (
	// ErrCrashed is the error of every call on a storage whose disk crashed.
	ErrCrashed = errors.New("rafttest: the disk crashed")
	// ErrDamagedEntry is the error of reading an entry that Damage has hit.
	ErrDamagedEntry = errors.New("rafttest: the entry is damaged")
	// ErrNoSnapshot is the error of opening a snapshot when there is none.
	ErrNoSnapshot = errors.New("rafttest: there is no snapshot")
)

// MemoryDisk is a StorageDisk in memory. Its storages are as strict about what
// they accept as the real ones. Faults are injected by Faults, Lazy and Damage.
// It is safe for concurrent use and starts no goroutine.
type MemoryDisk struct {
	mu sync.Mutex
	// current is what storages see, durable what a crash leaves. They differ
	// only while the disk is lazy.
	current memoryLog
	durable memoryLog
	// kept is what Forget goes back to.
	kept   memoryLog
	lazy   bool
	faults StorageFaults
	open   *memoryStorage
}

// NewMemoryDisk returns an empty disk.
func NewMemoryDisk() *MemoryDisk { return &MemoryDisk{} }

// Open implements StorageDisk. It fails while a damaged entry lies in the log,
// and while another storage is open.
func (d *MemoryDisk) Open() (OpenedStorage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open != nil {
		return OpenedStorage{}, errors.New("rafttest: the disk is in use")
	}
	for _, e := range d.current.entries {
		if e.damaged {
			return OpenedStorage{}, fmt.Errorf("entry %d: %w", e.Index, ErrDamagedEntry)
		}
	}
	d.current.received = nil
	s := &memoryStorage{disk: d}
	d.open = s
	return OpenedStorage{Storage: s, State: d.current.state(), Close: s.close}, nil
}

// Crash implements StorageDisk.
func (d *MemoryDisk) Crash() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open != nil {
		d.open.ended = ErrCrashed
		d.open = nil
	}
	d.current = d.durable
	return nil
}

// memoryLog is the content of a disk. It is a value: changing one makes
// another, which may share memory with it.
type memoryLog struct {
	hard raft.HardState
	base raft.SnapshotMeta
	// entries are those after base.
	entries   []memoryEntry
	snapshots []memorySnapshot
	received  []memorySnapshot
	// faulty logs have lost what they held up to the watermark.
	faulty    bool
	watermark raft.LogPosition
	// installs counts the snapshots that were installed or adopted.
	installs uint64
}

type memoryEntry struct {
	raft.Entry
	// chain is the hash of the log up to this entry.
	chain   uint64
	damaged bool
}

type memorySnapshot struct {
	meta raft.SnapshotMeta
	data []byte
}

func (l *memoryLog) last() raft.Index { return l.base.Index + raft.Index(len(l.entries)) }

// at returns the term and chain hash at an index from the base to the end.
func (l *memoryLog) at(i raft.Index) (raft.Term, uint64) {
	if i == l.base.Index {
		return l.base.Term, l.base.ChainHash
	}
	e := l.entries[i-l.base.Index-1]
	return e.Term, e.chain
}

func (l *memoryLog) end() raft.LogPosition {
	term, _ := l.at(l.last())
	return raft.LogPosition{Index: l.last(), Term: term}
}

// settled returns the log without its fault, if it holds enough again.
func (l memoryLog) settled() memoryLog {
	if l.faulty && l.end().UpToDate(l.watermark) {
		l.faulty, l.watermark = false, raft.LogPosition{}
	}
	return l
}

func (l *memoryLog) newest() (s memorySnapshot, ok bool) {
	if len(l.snapshots) == 0 {
		return s, false
	}
	return l.snapshots[len(l.snapshots)-1], true
}

func (l *memoryLog) state() raft.State {
	s := raft.State{
		HardState: l.hard,
		Base:      l.base.Index,
		Last:      l.last(),
		Terms:     []raft.TermRun{{Term: l.base.Term, First: l.base.Index}},
		Faulty:    l.faulty,
		Watermark: l.watermark,
	}
	if newest, ok := l.newest(); ok {
		s.Snapshot = newest.meta
	}
	if l.base.Index > 0 {
		s.Memberships = append(s.Memberships, raft.MembershipAt{Index: l.base.MembershipIndex, Membership: l.base.Membership})
	}
	for _, e := range l.entries {
		if e.Term != s.Terms[len(s.Terms)-1].Term {
			s.Terms = append(s.Terms, raft.TermRun{Term: e.Term, First: e.Index})
		}
		if e.Kind == raft.EntryMembership {
			s.Memberships = append(s.Memberships, raft.MembershipAt{Index: e.Index, Membership: *e.Membership})
		}
	}
	return s
}

// saved returns the log after a write.
func (l memoryLog) saved(w *raft.Write) (memoryLog, error) {
	old, hard := l.hard, w.HardState
	if hard.Term < old.Term || hard.Term == old.Term && old.Vote != raft.NoMember && hard.Vote != old.Vote {
		return l, fmt.Errorf("term %d with vote %s after term %d with vote %s", hard.Term, hard.Vote, old.Term, old.Vote)
	}
	l.hard = hard
	if w.Snapshot != nil {
		return l.installed(w)
	}
	keep := l.last()
	if w.TruncateFrom != 0 {
		keep = w.TruncateFrom - 1
	}
	if keep < l.base.Index || keep > l.last() {
		return l, fmt.Errorf("truncation behind entry %d of a log that holds entries after %d up to %d", keep, l.base.Index, l.last())
	}
	if keep < l.last() {
		// Clipped, so that appending leaves the entries of other values alone.
		l.entries = slices.Clip(l.entries[:keep-l.base.Index])
	}
	for _, e := range w.Entries {
		term, chain := l.at(l.last())
		if e.Index != l.last()+1 || e.Term < term {
			return l, fmt.Errorf("entry %d of term %d after entry %d of term %d", e.Index, e.Term, l.last(), term)
		}
		l.entries = append(l.entries, memoryEntry{Entry: e, chain: chainHash(chain, &e)})
	}
	return l.settled(), nil
}

func (l memoryLog) installed(w *raft.Write) (memoryLog, error) {
	n := slices.IndexFunc(l.received, func(s memorySnapshot) bool {
		return s.meta.Index == w.Snapshot.Index && s.meta.Term == w.Snapshot.Term
	})
	if n < 0 || w.TruncateFrom != 0 || len(w.Entries) > 0 {
		return l, fmt.Errorf("the snapshot at %d was not received, or doesn't come alone", w.Snapshot.Index)
	}
	meta := l.received[n].meta
	var rest []memoryEntry
	if w.KeepLog {
		if meta.Index < l.base.Index || meta.Index > l.last() {
			return l, fmt.Errorf("a snapshot at %d can't be adopted by a log from %d to %d", meta.Index, l.base.Index, l.last())
		}
		if term, chain := l.at(meta.Index); term != meta.Term || chain != meta.ChainHash {
			return l, fmt.Errorf("the snapshot at %d of term %d is of another log", meta.Index, meta.Term)
		}
		rest = slices.Clone(l.entries[meta.Index-l.base.Index:])
	}
	l.base = meta
	l.snapshots = []memorySnapshot{l.received[n]}
	l.entries = rest
	l.installs++
	return l.settled(), nil
}

// compacted returns the log after a snapshot was taken, which keeps the log
// back to the snapshot before.
func (l memoryLog) compacted(s memorySnapshot) memoryLog {
	if older, ok := l.newest(); ok {
		l.entries = slices.Clone(l.entries[older.meta.Index-l.base.Index:])
		l.base = older.meta
		l.snapshots = []memorySnapshot{older, s}
	} else {
		l.snapshots = []memorySnapshot{s}
	}
	return l
}

// chainHash is any function of the log; only this storage compares its values.
func chainHash(chain uint64, e *raft.Entry) uint64 {
	h := fnv.New64a()
	for _, v := range []uint64{
		chain, uint64(e.Index), uint64(e.Term), uint64(e.Kind), e.TimeMillis, e.ElapsedMillis,
		uint64(e.Origin.Member), e.Origin.Boot, e.Origin.Sequence, e.Origin.Answered,
	} {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, v))
	}
	_, _ = h.Write(e.Data)
	if e.Membership != nil {
		_, _ = fmt.Fprintf(h, "%+v", *e.Membership)
	}
	return h.Sum64()
}

// memoryStorage is one storage on a MemoryDisk.
type memoryStorage struct {
	disk *MemoryDisk
	// ended, unless nil, is the error of every call; failed that of Save.
	ended        error
	failed       error
	snapshotting bool
}

var errMemoryClosed = errors.New("rafttest: the storage is closed")

func (s *memoryStorage) close() error {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	if s.ended == nil {
		s.ended = errMemoryClosed
		s.disk.open = nil
		s.disk.durable = s.disk.current
	}
	return nil
}

// do runs f on the content of the disk, unless the storage has ended.
func (s *memoryStorage) do(f func(l *memoryLog) error) error {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	if s.ended != nil {
		return s.ended
	}
	if err := f(&s.disk.current); err != nil {
		return err
	}
	if !s.disk.lazy {
		s.disk.durable = s.disk.current
	}
	return nil
}

func (s *memoryStorage) Save(w *raft.Write) error {
	faults, err := s.begin()
	if err != nil || !w.NeedsDisk() {
		return err
	}
	err = run(faults.BeforeSave, w)
	if err == nil {
		err = s.do(func(l *memoryLog) error {
			next, err := l.saved(w)
			if err == nil {
				*l = next
			}
			return err
		})
	}
	if err == nil {
		err = run(faults.AfterSave, w)
	}
	if err != nil {
		s.disk.mu.Lock()
		defer s.disk.mu.Unlock()
		s.failed = fmt.Errorf("save: %w", err)
		return s.failed
	}
	return nil
}

func (s *memoryStorage) begin() (StorageFaults, error) {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	if s.ended != nil {
		return StorageFaults{}, s.ended
	}
	return s.disk.faults, s.failed
}

func (s *memoryStorage) Entries(lo, hi raft.Index, maxBytes int) (entries []raft.Entry, err error) {
	err = s.do(func(l *memoryLog) error {
		if lo <= l.base.Index && lo <= hi && hi <= l.last()+1 {
			return fmt.Errorf("entries %d to %d of a log that holds those after %d: %w", lo, hi, l.base.Index, raft.ErrCompacted)
		}
		if lo > hi || hi > l.last()+1 {
			return fmt.Errorf("entries %d to %d of a log that holds those after %d up to %d", lo, hi, l.base.Index, l.last())
		}
		size := 0
		for _, e := range l.entries[lo-l.base.Index-1 : hi-l.base.Index-1] {
			if size += e.SizeBytes(); e.Index > lo && size > maxBytes {
				return nil
			}
			if e.damaged {
				return fmt.Errorf("entry %d: %w", e.Index, ErrDamagedEntry)
			}
			entries = append(entries, e.Entry)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

func (s *memoryStorage) SaveSnapshot(meta raft.SnapshotMeta, write func(io.Writer) error) (first raft.Index, err error) {
	faults, err := s.begin()
	if err != nil {
		return 0, err
	}
	var before uint64
	err = s.do(func(l *memoryLog) error {
		newest, _ := l.newest()
		if s.snapshotting || meta.Index <= newest.meta.Index || meta.Index > l.last() {
			return fmt.Errorf("a snapshot at %d of a log from %d to %d, another running: %t", meta.Index, newest.meta.Index, l.last(), s.snapshotting)
		}
		term, chain := l.at(meta.Index)
		if term != meta.Term {
			return fmt.Errorf("a snapshot at %d of term %d, where the log has term %d", meta.Index, meta.Term, term)
		}
		meta.ChainHash, before, s.snapshotting = chain, l.installs, true
		return nil
	})
	if err != nil {
		return 0, err
	}
	var data bytes.Buffer
	err = write(&data)
	if err == nil {
		err = run(faults.BeforeSnapshotCounts, &meta)
	}
	return first, errors.Join(err, s.do(func(l *memoryLog) error {
		s.snapshotting = false
		// One that another log was installed over is dropped.
		if err == nil && l.installs == before {
			*l = l.compacted(memorySnapshot{meta, data.Bytes()})
		}
		first = l.base.Index + 1
		return nil
	}))
}

func (s *memoryStorage) OpenSnapshot() (meta raft.SnapshotMeta, r io.ReadCloser, err error) {
	err = s.do(func(l *memoryLog) error {
		newest, ok := l.newest()
		if !ok {
			return ErrNoSnapshot
		}
		meta, r = newest.meta, io.NopCloser(bytes.NewReader(newest.data))
		return nil
	})
	return meta, r, err
}

func (s *memoryStorage) ReceiveSnapshot(ctx context.Context, meta raft.SnapshotMeta, r io.Reader) error {
	data, err := io.ReadAll(r)
	if err := errors.Join(context.Cause(ctx), err); err != nil {
		return err
	}
	return s.do(func(l *memoryLog) error {
		l.received = append(slices.Clip(l.received[max(0, len(l.received)-3):]), memorySnapshot{meta, data})
		return nil
	})
}
