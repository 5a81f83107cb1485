package rafttest

import (
	"github.com/conclave-dev/conclave/pkg/raft"
)

// faultTests are about a disk that comes back with an older log than the storage
// had acknowledged. Disks that can't do that skip them.
var faultTests = []storageTest{
	{"a log that ends before what was acknowledged is faulty up to there", func(k *storageKit) {
		k.hard = raft.HardState{Term: 1}
		k.append(1, 1, 5)
		disk := k.keep()
		k.hard = raft.HardState{Term: 2, Vote: 3}
		k.append(2, 6, 10)
		k.forget(disk)
		k.foundFault(5, raft.LogPosition{Index: 10, Term: 2})
		k.holds(commands(1, 1, 5)...)
		// Term and vote are not lost with the log: a second vote would be possible.
		if got := k.State.HardState; got.Term != 2 || got.Vote != 3 {
			k.t.Fatalf("opened with term %d and vote %s, last saved were 2 and %s", got.Term, got.Vote, raft.MemberID(3))
		}
		k.reopen()
		k.foundFault(5, raft.LogPosition{Index: 10, Term: 2})
	}},
	{"a faulty log is whole again once it ends with the watermark", func(k *storageKit) {
		k.hard = raft.HardState{Term: 2}
		k.append(2, 1, 5)
		disk := k.keep()
		k.append(2, 6, 10)
		k.forget(disk)
		k.append(2, 6, 9)
		k.crash()
		k.foundFault(9, raft.LogPosition{Index: 10, Term: 2})
		k.append(2, 10, 10)
		k.crash()
		k.foundSound(10)
		k.append(2, 11, 11)
		k.crash()
		k.foundSound(11)
	}},
	{"a faulty log is whole again once it ends with a later term", func(k *storageKit) {
		k.hard = raft.HardState{Term: 2}
		k.append(1, 1, 5)
		disk := k.keep()
		k.append(2, 6, 10)
		k.forget(disk)
		k.hard = raft.HardState{Term: 3}
		k.append(3, 6, 6)
		k.crash()
		k.foundSound(6)
		k.append(3, 7, 8)
		k.reopen()
		k.foundSound(8)
	}},
	{"a truncation does not make a faulty log whole", func(k *storageKit) {
		// The log that comes back is older than the one that was lost, which had
		// replaced its end: what is truncated now says nothing of what was lost.
		k.hard = raft.HardState{Term: 3}
		k.append(1, 1, 8)
		disk := k.keep()
		k.save(raft.Write{TruncateFrom: 6, Entries: commands(2, 6, 10)})
		k.forget(disk)
		k.foundFault(8, raft.LogPosition{Index: 10, Term: 2})
		k.save(raft.Write{TruncateFrom: 6, Entries: commands(2, 6, 7)})
		k.crash()
		k.foundFault(7, raft.LogPosition{Index: 10, Term: 2})
		k.save(raft.Write{TruncateFrom: 6})
		k.crash()
		k.foundFault(5, raft.LogPosition{Index: 10, Term: 2})
		k.append(2, 6, 10)
		k.crash()
		k.foundSound(10)
	}},
	{"a snapshot that ends below the watermark does not make a faulty log whole", func(k *storageKit) {
		k.hard = raft.HardState{Term: 2}
		k.append(2, 1, 5)
		disk := k.keep()
		k.append(2, 6, 20)
		k.forget(disk)
		k.receive(snapshotAt(15, 2), "at 15")
		k.save(raft.Write{Snapshot: &raft.SnapshotMeta{Index: 15, Term: 2}})
		k.crash()
		k.foundFault(15, raft.LogPosition{Index: 20, Term: 2})
		k.receive(snapshotAt(20, 2), "at 20")
		k.save(raft.Write{Snapshot: &raft.SnapshotMeta{Index: 20, Term: 2}})
		k.crash()
		k.foundSound(20)
		k.newest(20, "at 20")
	}},
	{"a faulty log that loses more is faulty up to the first watermark", func(k *storageKit) {
		k.hard = raft.HardState{Term: 2}
		k.append(2, 1, 5)
		disk := k.keep()
		k.append(2, 6, 10)
		k.forget(disk)
		k.append(2, 6, 8)
		k.forget(disk)
		k.foundFault(5, raft.LogPosition{Index: 10, Term: 2})
	}},
}

// keep closes the storage, makes its disk remember the log, and opens it again.
func (k *storageKit) keep() ForgetfulDisk {
	k.t.Helper()
	disk, ok := k.disk.(ForgetfulDisk)
	if !ok {
		k.t.Skip("this disk never forgets")
	}
	k.close()
	k.must(disk.Keep(), "keep")
	k.open()
	return disk
}

// forget closes the storage, makes its disk forget what it learned since keep, and
// opens it again.
func (k *storageKit) forget(disk ForgetfulDisk) {
	k.t.Helper()
	k.close()
	k.must(disk.Forget(), "forget")
	k.open()
}

func (k *storageKit) foundFault(last raft.Index, watermark raft.LogPosition) {
	k.t.Helper()
	if s := k.State; !s.Faulty || s.Watermark != watermark || s.Last != last {
		k.t.Fatalf("opened with a log that ends at %d, faulty %t with the watermark %+v, expected %d, faulty with %+v",
			s.Last, s.Faulty, s.Watermark, last, watermark)
	}
}

func (k *storageKit) foundSound(last raft.Index) {
	k.t.Helper()
	if s := k.State; s.Faulty || s.Watermark != (raft.LogPosition{}) || s.Last != last {
		k.t.Fatalf("opened with a log that ends at %d, faulty %t with the watermark %+v, expected %d, not faulty",
			s.Last, s.Faulty, s.Watermark, last)
	}
}
