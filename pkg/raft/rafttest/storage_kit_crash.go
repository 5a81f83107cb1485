package rafttest

import (
	"io"

	"github.com/conclave-dev/conclave/pkg/raft"
)

var crashTests = []storageTest{
	{"what was saved is there after a crash", func(k *storageKit) {
		k.append(1, 1, 10)
		k.crash()
		k.holds(commands(1, 1, 10)...)
		k.hard = raft.HardState{Term: 2, Vote: 3}
		k.save(raft.Write{HardStateChanged: true, TruncateFrom: 5, Entries: commands(2, 5, 700)})
		k.crash()
		k.found(raft.State{HardState: k.hard, Last: 700, Terms: []raft.TermRun{{}, {Term: 1, First: 1}, {Term: 2, First: 5}}})
		k.holds(append(commands(1, 1, 4), commands(2, 5, 700)...)...)
	}},
	{"a crash while a snapshot is written leaves the one before", func(k *storageKit) {
		k.append(1, 1, 100)
		k.snapshot(snapshotAt(40, 1), "at 40")
		_, _ = k.SaveSnapshot(snapshotAt(80, 1), func(w io.Writer) error {
			_, err := w.Write(pattern(1 << 20))
			k.must(err, "write snapshot")
			k.crash()
			return nil
		})
		k.newest(40, "at 40")
		k.holds(commands(1, 1, 100)...)
		k.snapshot(snapshotAt(80, 1), "at 80")
		k.reopen()
		k.newest(80, "at 80")
	}},
	{"snapshots taken, compacted and installed are there after a crash", func(k *storageKit) {
		k.append(1, 1, 100)
		k.snapshot(snapshotAt(40, 1), "at 40")
		k.crash()
		k.newest(40, "at 40")
		k.snapshot(snapshotAt(80, 1), "at 80")
		k.crash()
		k.newest(80, "at 80")
		k.holds(commands(1, 41, 100)...)
		k.receive(snapshotAt(200, 2), "at 200")
		k.save(raft.Write{Snapshot: &raft.SnapshotMeta{Index: 200, Term: 2}})
		k.crash()
		k.newest(200, "at 200")
		k.append(2, 201, 210)
		k.crash()
		k.holds(commands(2, 201, 210)...)
	}},
}
