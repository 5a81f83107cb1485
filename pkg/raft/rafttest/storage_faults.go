package rafttest

import (
	"fmt"
	"slices"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// StorageFaults are called by a storage in memory at the moments where disks go
// wrong. Each may be nil, may block for as long as the test wants the disk to
// hang, and may crash the disk. None is called while the disk is locked.
type StorageFaults struct {
	// BeforeSave comes before anything is stored; its error keeps the write
	// from being stored.
	BeforeSave func(*raft.Write) error
	// AfterSave comes when the write is stored; its error hides that.
	AfterSave func(*raft.Write) error
	// BeforeSnapshotCounts comes when a snapshot is whole on the disk, before
	// anything names it; its error makes it count for nothing.
	BeforeSnapshotCounts func(*raft.SnapshotMeta) error
}

func run[T any](fault func(T) error, arg T) error {
	if fault == nil {
		return nil
	}
	return fault(arg)
}

// SetFaults replaces the faults, for every call that begins from now on.
func (d *MemoryDisk) SetFaults(f StorageFaults) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = f
}

// FailSave returns a fault that lets n writes pass and fails the next.
func FailSave(n int, err error) func(*raft.Write) error {
	return func(*raft.Write) error {
		n--
		if n < 0 {
			return err
		}
		return nil
	}
}

// StallSave returns a fault that hangs until release is called, once. A disk
// that crashes meanwhile has not stored the write.
func StallSave() (fault func(*raft.Write) error, release func()) {
	released := make(chan struct{})
	return func(*raft.Write) error {
		<-released
		return nil
	}, func() { close(released) }
}

// SetLazy makes the disk say that writes are durable when they aren't: a crash
// loses everything since the last Sync, or since it became lazy. No longer
// lazy, it is synced.
func (d *MemoryDisk) SetLazy(lazy bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lazy = lazy
	if !lazy {
		d.durable = d.current
	}
}

// Sync makes everything durable that was written to a lazy disk.
func (d *MemoryDisk) Sync() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.durable = d.current
}

// Damage makes an entry unreadable, until it is truncated or compacted away: the
// disk can't be opened, and reading it is an error.
func (d *MemoryDisk) Damage(i raft.Index) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i <= d.current.base.Index || i > d.current.last() {
		return fmt.Errorf("rafttest: there is no entry %d to be damaged", i)
	}
	for _, l := range []*memoryLog{&d.current, &d.durable} {
		if i > l.base.Index && i <= l.last() {
			l.entries[i-l.base.Index-1].damaged = true
		}
	}
	return nil
}

// Keep implements ForgetfulDisk.
func (d *MemoryDisk) Keep() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept = d.durable
	return nil
}

// Forget implements ForgetfulDisk. The storage that is open crashes.
func (d *MemoryDisk) Forget() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lose(d.kept)
	return nil
}

// LoseFrom makes the disk come back without its log from an entry on, which must
// not be compacted. The storage that is open crashes.
func (d *MemoryDisk) LoseFrom(i raft.Index) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.durable
	if i <= l.base.Index || i > l.last() {
		return fmt.Errorf("rafttest: there is no entry %d to be lost", i)
	}
	l.entries = slices.Clone(l.entries[:i-l.base.Index-1])
	l.snapshots = slices.DeleteFunc(slices.Clone(l.snapshots), func(s memorySnapshot) bool { return s.meta.Index >= i })
	d.lose(l)
	return nil
}

// lose puts another log in the place of the durable one. Term and vote are kept
// apart from it, and so is the watermark.
func (d *MemoryDisk) lose(rest memoryLog) {
	was := d.durable.end()
	if d.durable.faulty {
		was = d.durable.watermark
	}
	rest.hard, rest.faulty, rest.watermark, rest.received = d.durable.hard, true, was, nil
	d.durable = rest.settled()
	d.current = d.durable
	if d.open != nil {
		d.open.ended = ErrCrashed
		d.open = nil
	}
}
