package rafttest

import (
	"bytes"
	"slices"

	"github.com/conclave-dev/conclave/pkg/raft"
)

var logTests = []storageTest{
	{"a new storage is empty", func(k *storageKit) {
		k.found(raft.State{Terms: []raft.TermRun{{}}})
		if _, _, err := k.OpenSnapshot(); err == nil {
			k.t.Fatal("there is a snapshot")
		}
		k.reopen()
		k.found(raft.State{Terms: []raft.TermRun{{}}})
	}},
	{"a log begins with a configuration of term 0", func(k *storageKit) {
		first := configuration(1, 0, voters(1, 2, 3))
		k.save(raft.Write{Entries: []raft.Entry{first}})
		k.holds(first)
		k.reopen()
		k.holds(first)
		k.found(raft.State{Last: 1, Terms: []raft.TermRun{{}},
			Memberships: []raft.MembershipAt{{Index: 1, Membership: voters(1, 2, 3)}}})
	}},
	{"entries of every kind come back as they were", testEntryKinds},
	{"appended entries are there after reopening", func(k *storageKit) {
		k.vote(raft.HardState{Term: 2})
		k.append(1, 1, 10)
		k.append(2, 11, 300)
		want := append(commands(1, 1, 10), commands(2, 11, 300)...)
		k.holds(want...)
		k.reopen()
		k.holds(want...)
		k.found(raft.State{HardState: k.hard, Last: 300, Terms: []raft.TermRun{{Term: 0}, {Term: 1, First: 1}, {Term: 2, First: 11}}})
	}},
	{"a truncation takes the entries behind it and their terms", testTruncation},
	{"truncation, entries and hard state are one write", func(k *storageKit) {
		k.append(1, 1, 10)
		k.hard = raft.HardState{Term: 3, Vote: 7, Commit: 4}
		k.save(raft.Write{HardStateChanged: true, TruncateFrom: 6, Entries: commands(3, 6, 8)})
		k.reopen()
		k.found(raft.State{HardState: k.hard, Last: 8, Terms: []raft.TermRun{{}, {Term: 1, First: 1}, {Term: 3, First: 6}}})
		k.holds(append(commands(1, 1, 5), commands(3, 6, 8)...)...)
	}},
	{"a large entry is replaced by a small one and comes again", func(k *storageKit) {
		large := func(i raft.Index, term raft.Term) raft.Entry {
			return raft.Entry{Index: i, Term: term, Kind: raft.EntryCommand, Data: bytes.Repeat([]byte{byte(term)}, 3<<20)}
		}
		k.save(raft.Write{Entries: []raft.Entry{large(1, 1)}})
		k.save(raft.Write{Entries: []raft.Entry{large(2, 1)}})
		k.save(raft.Write{TruncateFrom: 2, Entries: commands(2, 2, 3)})
		k.holds(large(1, 1), commands(2, 2, 2)[0], commands(2, 3, 3)[0])
		k.reopen()
		k.holds(large(1, 1), commands(2, 2, 2)[0], commands(2, 3, 3)[0])
		k.save(raft.Write{TruncateFrom: 2, Entries: []raft.Entry{large(2, 3)}})
		k.reopen()
		k.holds(large(1, 1), large(2, 3))
	}},
	{"hard state is kept, the last one counts", func(k *storageKit) {
		for term := raft.Term(1); term <= 50; term++ {
			k.vote(raft.HardState{Term: term})
			k.vote(raft.HardState{Term: term, Vote: raft.MemberID(term + 100)})
		}
		k.reopen()
		k.found(raft.State{HardState: raft.HardState{Term: 50, Vote: 150}, Terms: []raft.TermRun{{}}})
	}},
	{"a write that needs no disk stores nothing", func(k *storageKit) {
		k.vote(raft.HardState{Term: 1})
		w := raft.Write{ID: 99, HardState: raft.HardState{Term: 1, Commit: 5}}
		k.must(k.Save(&w), "save")
		k.reopen()
		k.found(raft.State{HardState: raft.HardState{Term: 1}, Terms: []raft.TermRun{{}}})
	}},
	{"entries are paged by bytes, at least one at a time", testPaging},
	{"an entry of 4 MiB fits", func(k *storageKit) {
		entry := raft.Entry{Index: 1, Term: 1, Kind: raft.EntryCommand, Data: pattern(4 << 20)}
		k.save(raft.Write{Entries: []raft.Entry{entry}})
		k.holds(entry)
		k.reopen()
		k.holds(entry)
	}},
	{"a write of 4 MiB fits, of few entries or many", testLargeWrites},
	{"a write that doesn't follow is refused, and so is each after it", testRefusals},
}

// pattern returns n bytes that don't repeat where a record might end.
func pattern(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i>>8 ^ i)
	}
	return data
}

func testEntryKinds(k *storageKit) {
	joint := voters(1, 2, 3, 4)
	joint.Voters, joint.Outgoing, joint.Learners = []raft.MemberID{1, 2}, []raft.MemberID{2, 3}, []raft.MemberID{4}
	entries := []raft.Entry{
		configuration(1, 0, voters(1)),
		{Index: 2, Term: 1, Kind: raft.EntryNoOp},
		{Index: 3, Term: 1, Kind: raft.EntryCommand, Data: []byte{0}},
		configuration(4, 1, joint),
		{Index: 5, Term: 1, Kind: raft.EntryCommand},
		enveloped(raft.Entry{Index: 6, Term: 1, Kind: raft.EntryCommand, Data: []byte{0}}),
		enveloped(raft.Entry{Index: 7, Term: 1, Kind: raft.EntryNoOp}),
		enveloped(configuration(8, 1, voters(1))),
	}
	k.save(raft.Write{Entries: entries})
	k.holds(entries...)
	k.reopen()
	k.holds(entries...)
	k.found(raft.State{Last: 8, Terms: []raft.TermRun{{}, {Term: 1, First: 2}}, Memberships: []raft.MembershipAt{
		{Index: 1, Membership: voters(1)}, {Index: 4, Membership: joint}, {Index: 8, Membership: voters(1)},
	}})
}

func testTruncation(k *storageKit) {
	k.append(1, 1, 5)
	k.save(raft.Write{Entries: []raft.Entry{configuration(6, 2, voters(1, 2))}})
	k.append(3, 7, 40)
	k.save(raft.Write{TruncateFrom: 6})
	k.holds(commands(1, 1, 5)...)
	k.reopen()
	k.found(raft.State{Last: 5, Terms: []raft.TermRun{{}, {Term: 1, First: 1}}})
	k.holds(commands(1, 1, 5)...)
	k.append(4, 6, 8)
	k.reopen()
	k.holds(append(commands(1, 1, 5), commands(4, 6, 8)...)...)
	k.save(raft.Write{TruncateFrom: 1})
	k.reopen()
	k.found(raft.State{Terms: []raft.TermRun{{}}})
	k.append(5, 1, 2)
	k.reopen()
	k.holds(commands(5, 1, 2)...)
}

func testPaging(k *storageKit) {
	var entries []raft.Entry
	for i := raft.Index(1); i <= 20; i++ {
		entries = append(entries, raft.Entry{Index: i, Term: 1, Kind: raft.EntryCommand, Data: pattern(1000)})
	}
	k.save(raft.Write{Entries: entries})
	size := entries[0].SizeBytes()
	for _, page := range []struct{ maxBytes, want int }{
		{0, 1}, {1, 1}, {size, 1}, {2*size - 1, 1}, {2 * size, 2}, {7*size + 1, 7}, {1 << 30, 18},
	} {
		got, err := k.Entries(3, 21, page.maxBytes)
		k.must(err, "read entries")
		if len(got) != page.want || got[0].Index != 3 {
			k.t.Fatalf("%d entries came within %d bytes, expected %d", len(got), page.maxBytes, page.want)
		}
	}
	if got, err := k.Entries(5, 5, 1000); err != nil || len(got) != 0 {
		k.t.Fatalf("an empty range gave %d entries, error %v", len(got), err)
	}
	for _, bounds := range [][2]raft.Index{{0, 2}, {21, 22}, {5, 22}, {6, 5}} {
		if _, err := k.Entries(bounds[0], bounds[1], 1000); err == nil {
			k.t.Fatalf("entries %d to %d came from a log of 20", bounds[0], bounds[1])
		}
	}
}

func testLargeWrites(k *storageKit) {
	var entries []raft.Entry
	next := raft.Index(1)
	for _, size := range []int{4 << 20, 1 << 20, 64 << 10, 1 << 10, 256} {
		var w []raft.Entry
		for bytes := 0; bytes+size <= 4<<20; next++ {
			e := raft.Entry{Index: next, Term: 1, Kind: raft.EntryCommand}
			e.Data = pattern(size - e.SizeBytes())
			w = append(w, e)
			bytes += e.SizeBytes()
		}
		k.save(raft.Write{Entries: w})
		entries = append(entries, w...)
	}
	k.holds(entries...)
	k.reopen()
	k.holds(entries...)
}

func testRefusals(k *storageKit) {
	for _, bad := range []struct {
		what  string
		hard  raft.HardState
		write raft.Write
	}{
		{"a gap", raft.HardState{Term: 5, Vote: 1}, raft.Write{Entries: commands(5, 12, 12)}},
		{"an overlap", raft.HardState{Term: 5, Vote: 1}, raft.Write{Entries: commands(5, 10, 12)}},
		{"a gap inside", raft.HardState{Term: 5, Vote: 1}, raft.Write{Entries: slices.Concat(commands(5, 11, 11), commands(5, 13, 13))}},
		{"a falling term", raft.HardState{Term: 5, Vote: 1}, raft.Write{Entries: commands(4, 11, 11)}},
		{"a truncation behind the end", raft.HardState{Term: 5, Vote: 1}, raft.Write{TruncateFrom: 12}},
		{"an old term", raft.HardState{Term: 4, Vote: 1}, raft.Write{HardStateChanged: true}},
		{"a second vote", raft.HardState{Term: 5, Vote: 2}, raft.Write{HardStateChanged: true}},
		{"a vote taken back", raft.HardState{Term: 5}, raft.Write{HardStateChanged: true}},
		{"a snapshot that was not received", raft.HardState{Term: 5, Vote: 1}, raft.Write{Snapshot: &raft.SnapshotMeta{Index: 20, Term: 5}}},
	} {
		good := raft.HardState{Term: 5, Vote: 1}
		if k.State.Last == 0 {
			k.vote(good)
			k.append(5, 1, 10)
		}
		k.hard = bad.hard
		if k.trySave(bad.write) == nil {
			k.t.Fatalf("%s was accepted", bad.what)
		}
		k.hard = good
		if k.trySave(raft.Write{Entries: commands(5, 11, 11)}) == nil {
			k.t.Fatalf("a write was accepted after %s", bad.what)
		}
		_ = k.Close() // It may tell of the failure again.
		k.open()
		k.found(raft.State{HardState: good, Last: 10, Terms: []raft.TermRun{{}, {Term: 5, First: 1}}})
		k.holds(commands(5, 1, 10)...)
	}
}
