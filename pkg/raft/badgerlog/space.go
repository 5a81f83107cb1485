package badgerlog

import (
	"errors"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// ErrDiskFull says that a snapshot is refused because the room that is left is
// kept for the log. It may be tried again later.
var ErrDiskFull = errors.New("the disk is full but for what is kept for the log")

const (
	// spaceReserveBytes is what Badger may still write after the last write that
	// was let through: it flushes up to three tables in memory, and merges those
	// of the first level into new files before it removes the old ones. It dies
	// when the disk is full in the middle of that, so it must never be. Term, vote and
	// no-op of an election, some hundred bytes, come out of it as well.
	spaceReserveBytes = 8 * memTableBytes
	// spaceMarginBytes is what lies between the two marks, beside a snapshot.
	spaceMarginBytes = 128 << 20
	// spaceSlack divides a mark: so much more must be free before what the mark
	// had stopped goes on, or it would stop again at the next write.
	spaceSlack = 16
)

// Space tells how much room the disk has left. Below SpaceReserveBytes of free
// space it is full. Below that and SpaceMarginBytes and the size of the newest
// snapshot it is low: what is left lets a snapshot be taken, by which the log can
// be shortened. It costs two system calls, and takes the room of Badger's newest table
// while the disk isn't full.
func (l *Log) Space() raft.Space {
	free, err := l.options.freeBytes(l.dir)
	if err != nil {
		// The disk is there, since it was opened: what was true remains true.
		l.options.Logger.Warn("the free space can't be told", "directory", l.dir, "error", err)
		return raft.Space(l.space.Load())
	}
	full := l.options.SpaceReserveBytes
	low := full + l.options.SpaceMarginBytes + l.snapshotBytes.Load()
	last := raft.Space(l.space.Load())
	if last == raft.SpaceFull {
		full += full / spaceSlack
	}
	if last != raft.SpacePlenty {
		low += low / spaceSlack
	}
	now := raft.SpacePlenty
	switch {
	case free < full:
		now = raft.SpaceFull
	case free < low:
		now = raft.SpaceLow
	}
	l.space.Store(uint32(now))
	if now != raft.SpaceFull {
		if err := l.tableRoom.take(); err != nil {
			l.options.Logger.Warn("the room of a table can't be taken in advance", "directory", l.dir, "error", err)
		}
	}
	return now
}

// spaceCheckChunks is after how many chunks of a snapshot the room is looked at.
const spaceCheckChunks = 16

// mayGoOn tells why a snapshot that is being written must be given up, after a
// number of chunks.
func (l *Log) mayGoOn(chunks uint32) error {
	select {
	case <-l.closing:
		return ErrClosed
	default:
	}
	if chunks%spaceCheckChunks == 0 && l.Space() == raft.SpaceFull {
		return ErrDiskFull
	}
	return nil
}
