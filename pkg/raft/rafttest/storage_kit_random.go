package rafttest

import (
	"fmt"
	"math/rand/v2"

	"github.com/conclave-dev/conclave/pkg/raft"
)

var randomTests = []storageTest{
	{"random operations agree with a plain model", func(k *storageKit) {
		seed := rand.Uint64()
		k.t.Logf("seed %#x", seed)
		walkStorage(k, seed, 200)
	}},
	{"random operations of fixed seeds agree with a plain model", func(k *storageKit) {
		for seed := range uint64(3) {
			k.t.Logf("seed %#x", seed)
			walkStorage(k, seed, 60)
		}
	}},
}

// storageModel is what a storage should hold, in the plainest form: nothing is
// ever forgotten, base only says what may be asked for.
type storageModel struct {
	hard      raft.HardState
	base      raft.SnapshotMeta
	entries   map[raft.Index]raft.Entry
	last      raft.Index
	snapshots []raft.SnapshotMeta
	data      map[raft.Index]string
}

func (m *storageModel) term(i raft.Index) raft.Term {
	if i == m.base.Index {
		return m.base.Term
	}
	return m.entries[i].Term
}

// membership returns the configuration that is active at an index.
func (m *storageModel) membership(i raft.Index) (raft.Index, raft.Membership) {
	for ; i > m.base.Index; i-- {
		if e := m.entries[i]; e.Kind == raft.EntryMembership {
			return i, *e.Membership
		}
	}
	return m.base.MembershipIndex, m.base.Membership
}

func (m *storageModel) newest() raft.SnapshotMeta {
	if len(m.snapshots) == 0 {
		return raft.SnapshotMeta{}
	}
	return m.snapshots[len(m.snapshots)-1]
}

func (m *storageModel) state() raft.State {
	s := raft.State{
		HardState: m.hard, Snapshot: m.newest(), Base: m.base.Index, Last: m.last,
		Terms: []raft.TermRun{{Term: m.base.Term, First: m.base.Index}},
	}
	if m.base.Index > 0 {
		s.Memberships = append(s.Memberships, raft.MembershipAt{Index: m.base.MembershipIndex, Membership: m.base.Membership})
	}
	for i := m.base.Index + 1; i <= m.last; i++ {
		e := m.entries[i]
		if e.Term != s.Terms[len(s.Terms)-1].Term {
			s.Terms = append(s.Terms, raft.TermRun{Term: e.Term, First: i})
		}
		if e.Membership != nil {
			s.Memberships = append(s.Memberships, raft.MembershipAt{Index: i, Membership: *e.Membership})
		}
	}
	return s
}

// walkStorage does random things to a storage and a model of it, and compares
// them each time the storage was opened again. Each walk goes on where the one
// before ended, as the log of a member does.
func walkStorage(k *storageKit, seed uint64, steps int) {
	k.t.Helper()
	w := &storageWalk{storageKit: k, rand: rand.New(rand.NewPCG(seed, seed)), model: k.adopt()}
	w.kept = w.model.hard
	for range steps {
		switch n := w.rand.IntN(100); {
		case n < 60:
			w.write()
		case n < 72:
			w.check()
		case n < 82:
			w.takeSnapshot()
		case n < 85:
			w.installSnapshot()
		case n < 93:
			k.reopen()
			w.compare()
		default:
			k.crash()
			w.compare()
		}
	}
	k.reopen()
	w.compare()
}

// adopt makes a model of what the storage holds.
func (k *storageKit) adopt() *storageModel {
	k.t.Helper()
	k.reopen()
	m := &storageModel{hard: k.State.HardState, last: k.State.Last, entries: map[raft.Index]raft.Entry{}, data: map[raft.Index]string{}}
	if k.State.Last > 0 {
		k.hard.Term = m.hard.Term + 1
		meta := snapshotAt(m.last+1000, k.hard.Term)
		k.receive(meta, "begin")
		k.save(raft.Write{HardStateChanged: true, Snapshot: &meta})
		m.hard, m.last, m.base = k.hard, meta.Index, meta
		m.snapshots, m.data[meta.Index] = []raft.SnapshotMeta{meta}, "begin"
	}
	return m
}

type storageWalk struct {
	*storageKit
	rand  *rand.Rand
	model *storageModel
	// kept is the hard state of the last write that went to the disk.
	kept raft.HardState
}

// write saves any of: a new hard state, a truncation, some entries.
func (w *storageWalk) write() {
	w.t.Helper()
	m := w.model
	var write raft.Write
	if w.rand.IntN(4) == 0 {
		m.hard.Term += raft.Term(1 + w.rand.IntN(3))
		m.hard.Vote = raft.MemberID(w.rand.IntN(4))
		write.HardStateChanged = true
	}
	keep := m.last
	if floor := max(m.base.Index, m.newest().Index); w.rand.IntN(5) == 0 && m.last > floor {
		keep = m.last - raft.Index(w.rand.Uint64N(uint64(m.last-floor))) - 1
		write.TruncateFrom = keep + 1
	}
	m.last = keep
	for range w.rand.IntN(20) {
		m.last++
		e := w.entry(m.last)
		m.entries[m.last] = e
		write.Entries = append(write.Entries, e)
	}
	m.hard.Commit = min(m.last, m.hard.Commit+raft.Index(w.rand.IntN(10)))
	w.hard = m.hard
	if !write.NeedsDisk() {
		// Nothing of it may be kept, not even the commit index.
		m.hard.Commit = w.kept.Commit
	}
	w.kept = m.hard
	w.save(write)
}

// entry makes an entry of the current term: mostly a small command, now and
// then a configuration or a command of several records.
func (w *storageWalk) entry(i raft.Index) raft.Entry {
	e := raft.Entry{Index: i, Term: w.model.hard.Term, Kind: raft.EntryCommand}
	if w.rand.IntN(2) == 0 {
		e = enveloped(e)
	}
	switch n := w.rand.IntN(60); {
	case n == 0:
		e.Data = pattern(w.rand.IntN(2 << 20))
	case n < 4:
		return configuration(i, e.Term, voters(raft.MemberID(1+w.rand.IntN(9)), 10))
	case n < 8:
		e.Kind = raft.EntryNoOp
	default:
		e.Data = fmt.Appendf(nil, "command %d of term %d", i, e.Term)
	}
	return e
}

// check reads a random part of the log.
func (w *storageWalk) check() {
	w.t.Helper()
	m := w.model
	if m.last == m.base.Index {
		return
	}
	lo := m.base.Index + 1 + raft.Index(w.rand.Uint64N(uint64(m.last-m.base.Index)))
	hi := lo + 1 + raft.Index(w.rand.Uint64N(uint64(m.last-lo+1)))
	got, err := w.Entries(lo, hi, 1+w.rand.IntN(4<<20))
	w.must(err, "read entries")
	if len(got) == 0 {
		w.t.Fatalf("no entry came from %d on", lo)
	}
	for n := range got {
		want := m.entries[lo+raft.Index(n)]
		if !sameEntry(&got[n], &want) {
			w.t.Fatalf("entry %d is %+v, expected %+v", lo+raft.Index(n), got[n], want)
		}
	}
}

func (w *storageWalk) takeSnapshot() {
	w.t.Helper()
	m := w.model
	floor := max(m.base.Index, m.newest().Index)
	if m.last <= floor {
		return
	}
	at := floor + 1 + raft.Index(w.rand.Uint64N(uint64(m.last-floor)))
	meta := raft.SnapshotMeta{Index: at, Term: m.term(at)}
	meta.MembershipIndex, meta.Membership = m.membership(at)
	m.data[at] = string(pattern(w.rand.IntN(1 << 19)))
	older := m.newest()
	m.snapshots = []raft.SnapshotMeta{meta}
	if older.Index > 0 {
		m.base, m.snapshots = older, []raft.SnapshotMeta{older, meta}
	}
	if first := w.snapshot(meta, m.data[at]); first != m.base.Index+1 {
		w.t.Fatalf("the log begins at %d, expected %d", first, m.base.Index+1)
	}
}

func (w *storageWalk) installSnapshot() {
	w.t.Helper()
	m := w.model
	at := m.newest().Index + 1 + raft.Index(w.rand.IntN(200))
	m.hard.Term++
	m.hard.Vote, m.hard.Commit = raft.NoMember, at
	w.hard, w.kept = m.hard, m.hard
	meta := raft.SnapshotMeta{Index: at, Term: m.hard.Term, MembershipIndex: at / 2, Membership: voters(1, 2)}
	m.data[at] = fmt.Sprintf("from the leader, at %d", at)
	w.receive(meta, m.data[at])
	w.save(raft.Write{HardStateChanged: true, Snapshot: &meta})
	m.base, m.last, m.snapshots = meta, at, []raft.SnapshotMeta{meta}
}

// compare checks everything that the storage holds, right after opening it.
func (w *storageWalk) compare() {
	w.t.Helper()
	m := w.model
	w.found(m.state())
	if newest := m.newest(); newest.Index > 0 {
		w.newest(newest.Index, m.data[newest.Index])
	}
	var want []raft.Entry
	for i := m.base.Index + 1; i <= m.last; i++ {
		want = append(want, m.entries[i])
	}
	w.holds(want...)
}
