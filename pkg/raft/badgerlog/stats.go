package badgerlog

import (
	"path/filepath"
	"sync"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// Stats is what a log tells about itself. Counters begin when it is opened.
type Stats struct {
	// Saves, Entries and Bytes count what Save wrote, SyncTime the time it
	// waited for the disk in doing so. Options.OnSave tells each alone.
	Saves    uint64
	Entries  uint64
	Bytes    uint64
	SyncTime time.Duration
	// First and Last bound the log; it is empty when Last is First - 1.
	First raft.Index
	Last  raft.Index
	// Dead is the number of entries outside these bounds whose records are
	// still to be deleted.
	Dead uint64
	// LogBytes is what Badger occupies on the disk.
	LogBytes int64
	// SnapshotIndex is the index of the newest snapshot, 0 for none.
	SnapshotIndex raft.Index
	// SnapshotsBytes is what all snapshot files occupy on the disk.
	SnapshotsBytes int64
	// Snapshots counts those that were taken here, SnapshotTime is how long
	// the last of them took, and SnapshotBytes the size of its file.
	Snapshots     uint64
	SnapshotTime  time.Duration
	SnapshotBytes int64
	// Received counts the snapshots that came from a leader.
	Received uint64
}

// Stats reads the counters and the sizes of the files.
func (l *Log) Stats() (Stats, error) {
	if err := l.enter(); err != nil {
		return Stats{}, err
	}
	defer l.leave()
	s := l.stats.read()
	v := l.view.Load()
	s.First, s.Last = v.base+1, v.last
	if n := len(v.snapshots); n > 0 {
		s.SnapshotIndex = v.snapshots[n-1].Index
	}
	s.Dead = l.dead.Load()
	var err error
	if s.LogBytes, err = diskBytes(filepath.Join(l.dir, logDirectory)); err != nil {
		return s, err
	}
	s.SnapshotsBytes, err = diskBytes(filepath.Join(l.dir, snapshotDirectory))
	return s, err
}

// counters are the part of Stats that is counted.
type counters struct {
	mu sync.Mutex
	s  Stats
}

func (c *counters) read() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.s
}

func (c *counters) saved(r SaveReport) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.s.Saves++
	c.s.Entries += uint64(r.Entries)
	c.s.Bytes += uint64(r.Bytes)
	c.s.SyncTime += r.Sync
}

func (c *counters) snapshot(took time.Duration, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.s.Snapshots++
	c.s.SnapshotTime = took
	c.s.SnapshotBytes = bytes
}

func (c *counters) received() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.s.Received++
}
