package rafttest

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// TestStorage is the conformance kit: what every Storage must do. newDisk
// returns an empty disk for one test, which removes it when it ends.
func TestStorage(t *testing.T, newDisk func(t *testing.T) StorageDisk) {
	for _, group := range [][]storageTest{logTests, snapshotTests, crashTests, faultTests, randomTests} {
		for _, test := range group {
			t.Run(test.name, func(t *testing.T) {
				k := &storageKit{t: t, disk: newDisk(t)}
				k.open()
				test.run(k)
				k.close()
			})
		}
	}
}

// storageTest is one promise of a Storage and the test of it.
type storageTest struct {
	name string
	run  func(k *storageKit)
}

// storageKit is a disk under test and the storage that is open on it. Its
// methods fail the test when the storage doesn't do what they say.
type storageKit struct {
	t    *testing.T
	disk StorageDisk
	OpenedStorage
	// hard is the hard state of the last write, id its number.
	hard raft.HardState
	id   raft.WriteID
}

func (k *storageKit) open() {
	k.t.Helper()
	var err error
	k.OpenedStorage, err = k.disk.Open()
	k.must(err, "open")
}

func (k *storageKit) close() {
	k.t.Helper()
	k.must(k.Close(), "close")
}

// reopen closes and opens the storage, and checks that it holds the same.
func (k *storageKit) reopen() {
	k.t.Helper()
	k.close()
	k.open()
}

// crash ends the storage without a word, and opens it again.
func (k *storageKit) crash() {
	k.t.Helper()
	k.must(k.disk.Crash(), "crash")
	k.open()
}

func (k *storageKit) must(err error, doing string) {
	k.t.Helper()
	if err != nil {
		k.t.Fatalf("%s: %v", doing, err)
	}
}

// save saves a write with the kit's hard state.
func (k *storageKit) save(w raft.Write) {
	k.t.Helper()
	k.must(k.trySave(w), "save")
}

func (k *storageKit) trySave(w raft.Write) error {
	k.id++
	w.ID = k.id
	w.HardState = k.hard
	return k.Save(&w)
}

// vote saves a hard state alone.
func (k *storageKit) vote(hard raft.HardState) {
	k.t.Helper()
	k.hard = hard
	k.save(raft.Write{HardStateChanged: true})
}

// append saves commands from index first on, of one term.
func (k *storageKit) append(term raft.Term, first, last raft.Index) {
	k.t.Helper()
	k.save(raft.Write{Entries: commands(term, first, last)})
}

// commands returns entries whose data tells their place.
func commands(term raft.Term, first, last raft.Index) []raft.Entry {
	var entries []raft.Entry
	for i := first; i <= last; i++ {
		entries = append(entries, raft.Entry{
			Index: i, Term: term, Kind: raft.EntryCommand, Data: fmt.Appendf(nil, "command %d of term %d", i, term),
		})
	}
	return entries
}

// holds checks that the log holds exactly these entries from first on.
func (k *storageKit) holds(want ...raft.Entry) {
	k.t.Helper()
	if len(want) == 0 {
		return
	}
	first, end := want[0].Index, want[len(want)-1].Index+1
	var got []raft.Entry
	for lo := first; lo < end; {
		part, err := k.Entries(lo, end, 1<<20)
		k.must(err, "read entries")
		if len(part) == 0 {
			k.t.Fatalf("no entry came from %d on", lo)
		}
		got = append(got, part...)
		lo += raft.Index(len(part))
	}
	if len(got) != len(want) {
		k.t.Fatalf("%d entries came from %d to %d", len(got), first, end)
	}
	for i := range want {
		if !sameEntry(&got[i], &want[i]) {
			k.t.Fatalf("entry %d of term %d, kind %d, %d bytes came for entry %d of term %d, kind %d, %d bytes",
				got[i].Index, got[i].Term, got[i].Kind, len(got[i].Data),
				want[i].Index, want[i].Term, want[i].Kind, len(want[i].Data))
		}
	}
	if _, err := k.Entries(end, end+1, 1<<20); err == nil {
		k.t.Fatalf("entry %d is there, behind the end of the log", end)
	}
}

func sameEntry(a, b *raft.Entry) bool {
	return a.Index == b.Index && a.Term == b.Term && a.Kind == b.Kind &&
		bytes.Equal(a.Data, b.Data) && reflect.DeepEqual(a.Membership, b.Membership)
}

// found checks what the storage held when it was opened. Chain hashes are the
// storage's own and are not compared.
func (k *storageKit) found(want raft.State) {
	k.t.Helper()
	got := k.State
	got.Snapshot.ChainHash, want.Snapshot.ChainHash = 0, 0
	if len(got.Memberships) == 0 && len(want.Memberships) == 0 {
		got.Memberships, want.Memberships = nil, nil
	}
	if !reflect.DeepEqual(got, want) {
		k.t.Fatalf("opened with\n%+v, expected\n%+v", got, want)
	}
}

// snapshot saves a snapshot and returns the first index that is left.
func (k *storageKit) snapshot(meta raft.SnapshotMeta, data string) raft.Index {
	k.t.Helper()
	first, err := k.SaveSnapshot(meta, func(w io.Writer) error {
		_, err := io.WriteString(w, data)
		return err
	})
	k.must(err, "save snapshot")
	return first
}

// newest checks the newest snapshot and returns its description.
func (k *storageKit) newest(index raft.Index, data string) raft.SnapshotMeta {
	k.t.Helper()
	meta, r, err := k.OpenSnapshot()
	k.must(err, "open snapshot")
	got, err := io.ReadAll(r)
	k.must(err, "read snapshot")
	k.must(r.Close(), "close snapshot")
	if meta.Index != index || string(got) != data {
		k.t.Fatalf("the newest snapshot is at %d with %d bytes, expected at %d with %d bytes", meta.Index, len(got), index, len(data))
	}
	return meta
}

// voters returns a configuration of members with these IDs.
func voters(ids ...raft.MemberID) raft.Membership {
	m := raft.Membership{Voters: ids}
	for _, id := range ids {
		m.Members = append(m.Members, raft.Member{ID: id, Name: fmt.Sprintf("node-%d", id), Address: fmt.Sprintf("node-%d:8401", id)})
	}
	return m
}

// enveloped returns the entry with an origin and a stamp.
func enveloped(e raft.Entry) raft.Entry {
	e.Origin = raft.Origin{Member: 1<<63 | 2, Boot: 1<<62 | 3, Sequence: 1<<61 | 4, Answered: 1<<60 | 5}
	e.TimeMillis, e.ElapsedMillis = 1<<59|6, 1<<58|7
	return e
}

// configuration returns an entry that holds m.
func configuration(i raft.Index, term raft.Term, m raft.Membership) raft.Entry {
	return raft.Entry{Index: i, Term: term, Kind: raft.EntryMembership, Membership: &m}
}
