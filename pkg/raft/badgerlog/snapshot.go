package badgerlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// ErrNoSnapshot says that there is no snapshot yet.
var ErrNoSnapshot = errors.New("there is no snapshot")

// ErrSnapshotRunning says that a snapshot is refused because another one is
// being taken, or received. It may be tried again later.
var ErrSnapshotRunning = errors.New("another snapshot is being written")

const (
	snapshotSuffix = ".snap"
	receivedSuffix = ".received"
)

func (l *Log) snapshotPath(meta raft.SnapshotMeta, suffix string) string {
	return filepath.Join(l.dir, snapshotDirectory, fmt.Sprintf("%020d-%020d%s", meta.Term, meta.Index, suffix))
}

// SaveSnapshot stores what write produces as the snapshot described by meta,
// then compacts the log to the snapshot before it. It returns the first index
// that the log still holds. A snapshot that was overtaken by one that Save
// installed meanwhile is dropped without an error. A failure to write the file
// leaves the log as it was; one to compact is a failure of the log.
func (l *Log) SaveSnapshot(meta raft.SnapshotMeta, write func(io.Writer) error) (first raft.Index, err error) {
	if err := l.enter(); err != nil {
		return 0, err
	}
	defer l.leave()
	if !l.snapshotting.TryLock() {
		return 0, ErrSnapshotRunning
	}
	defer l.snapshotting.Unlock()
	start := time.Now()
	chain, installs, err := l.beginSnapshot(meta)
	if err != nil {
		return 0, fmt.Errorf("take snapshot: %w", err)
	}
	meta.ChainHash = chain
	size, err := l.writeSnapshot(meta, snapshotSuffix, write)
	if err != nil {
		return 0, fmt.Errorf("take snapshot at %d: %w", meta.Index, err)
	}
	if err := l.compact(meta, installs); err != nil {
		return 0, err
	}
	l.snapshotBytes.Store(size)
	l.stats.snapshot(time.Since(start), size)
	return l.view.Load().base + 1, nil
}

// beginSnapshot returns the chain hash of the log at a snapshot that is about
// to be taken, and how many were installed before.
func (l *Log) beginSnapshot(meta raft.SnapshotMeta) (chain, installs uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.failure.get(); err != nil {
		return 0, 0, err
	}
	v := l.view.Load()
	if meta.Index <= l.base.newest().Index || meta.Index <= v.base || meta.Index > v.last {
		return 0, 0, fmt.Errorf("a snapshot at %d doesn't lie between the newest one at %d and the end of the log at %d",
			meta.Index, l.base.newest().Index, v.last)
	}
	if term := v.term(meta.Index); term != meta.Term {
		return 0, 0, fmt.Errorf("a snapshot at %d of term %d, where the log has term %d", meta.Index, meta.Term, term)
	}
	chain, err = l.chainAt(meta.Index)
	return chain, l.installs, err
}

// writeSnapshot makes a whole and durable snapshot file.
func (l *Log) writeSnapshot(meta raft.SnapshotMeta, suffix string, write func(io.Writer) error) (size int64, err error) {
	path := l.snapshotPath(meta, suffix)
	w, err := createSnapshot(path+temporary, l.identity.ClusterID, meta, l.mayGoOn)
	if err != nil {
		return 0, err
	}
	defer w.abandon()
	if err := write(w); err != nil {
		return 0, err
	}
	size, err = w.finish()
	if err != nil {
		return 0, err
	}
	if suffix == receivedSuffix {
		// What came over the network is read back before it may count.
		if _, _, err := verifySnapshot(path+temporary, l.identity.ClusterID); err != nil {
			return 0, err
		}
	}
	return size, moveFile(path+temporary, path)
}

// compact makes a snapshot whose file is durable count, and moves the base of
// the log to the snapshot before it. If another log was installed since the
// snapshot was begun, it is no state of this log and is dropped.
func (l *Log) compact(meta raft.SnapshotMeta, installs uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.failure.get(); err != nil {
		return err
	}
	if l.installs != installs {
		l.removeSnapshots(snapshotSuffix)
		return nil
	}
	next := base{at: l.base.at, snapshots: []raft.SnapshotMeta{meta}}
	if older := l.base.newest(); older.Index != 0 {
		next.at = older
		next.snapshots = []raft.SnapshotMeta{older, meta}
	}
	l.graves.bury(l.base.at.Index+1, next.at.Index)
	if err := l.rebase(next, l.head); err != nil {
		return l.failure.set(fmt.Errorf("compact to %d: %w", next.at.Index, err))
	}
	return nil
}

// install saves a write that replaces the log by a received snapshot.
func (l *Log) install(w *raft.Write) error {
	meta, err := l.receivedSnapshot(w)
	if err != nil {
		return err
	}
	if err := l.moveReceived(meta); err != nil {
		return err
	}
	next := base{at: meta, snapshots: []raft.SnapshotMeta{meta}}
	if !next.position().covers(l.head.end) {
		// A crash must find the watermark in both logs, the old and the new.
		if err := l.lowerWatermark(l.base.position()); err != nil {
			return err
		}
	}
	l.installs++
	l.graves.bury(l.base.at.Index+1, l.head.end.index)
	if err := l.rebase(next, head{hard: w.HardState, end: next.position()}); err != nil {
		return err
	}
	return l.raiseWatermark()
}

// adopt saves a write that puts a received snapshot in the place of all others and
// leaves the log after it.
func (l *Log) adopt(w *raft.Write) error {
	meta, err := l.receivedSnapshot(w)
	if err != nil {
		return err
	}
	v := l.view.Load()
	if meta.Index < v.base || meta.Index > v.last || v.term(meta.Index) != meta.Term {
		return fmt.Errorf("a snapshot at %d of term %d can't be adopted by a log from %d to %d", meta.Index, meta.Term, v.base, v.last)
	}
	chain, err := l.chainAt(meta.Index)
	if err != nil {
		return err
	}
	if chain != meta.ChainHash {
		return damaged("the snapshot at %d is of another log: the chain hash differs", meta.Index)
	}
	if err := l.moveReceived(meta); err != nil {
		return err
	}
	l.installs++
	l.graves.bury(l.base.at.Index+1, meta.Index)
	next := base{at: meta, snapshots: []raft.SnapshotMeta{meta}}
	if err := l.rebase(next, head{hard: w.HardState, end: l.head.end}); err != nil {
		return err
	}
	return l.raiseWatermark()
}

// receivedSnapshot returns what the file of a received snapshot says of itself.
func (l *Log) receivedSnapshot(w *raft.Write) (raft.SnapshotMeta, error) {
	if w.TruncateFrom != 0 || len(w.Entries) > 0 {
		return raft.SnapshotMeta{}, errors.New("a write with a snapshot and entries")
	}
	r, err := openSnapshot(l.snapshotPath(*w.Snapshot, receivedSuffix), l.identity.ClusterID)
	if err != nil {
		return raft.SnapshotMeta{}, fmt.Errorf("the snapshot at %d was not received: %w", w.Snapshot.Index, err)
	}
	info, err := r.file.Stat()
	if err := errors.Join(err, r.Close()); err != nil {
		return raft.SnapshotMeta{}, err
	}
	l.snapshotBytes.Store(info.Size())
	return r.meta, nil
}

// moveReceived gives a received snapshot the name of one that counts.
func (l *Log) moveReceived(meta raft.SnapshotMeta) error {
	return moveFile(l.snapshotPath(meta, receivedSuffix), l.snapshotPath(meta, snapshotSuffix))
}

// rebase moves the base and the head in one batch, then removes the snapshot
// files that don't count any more.
func (l *Log) rebase(next base, h head) error {
	value, err := next.encode()
	if err != nil {
		return err
	}
	b := l.newBatch()
	defer b.txn.Discard()
	if err := b.set(baseKey, value); err != nil {
		return err
	}
	if err := b.set(headKey, h.encode()); err != nil {
		return err
	}
	if err := b.sweep(l.graves, int(b.count)); err != nil {
		return err
	}
	if _, err := l.commit(b); err != nil {
		return err
	}
	l.base, l.head = next, h
	l.publish(l.view.Load().rebased(next, h.end.index))
	l.removeSnapshots(snapshotSuffix)
	return nil
}

// OpenSnapshot opens the newest snapshot. Its reader verifies what it gives out
// and stays usable until it is closed, whatever happens to the log. The error
// is ErrNoSnapshot when there is none.
func (l *Log) OpenSnapshot() (raft.SnapshotMeta, io.ReadCloser, error) {
	if err := l.enter(); err != nil {
		return raft.SnapshotMeta{}, nil, err
	}
	defer l.leave()
	return l.openNewest()
}

// openNewest is OpenSnapshot for those who have entered already: who enters twice
// waits for a Close that waits for him.
func (l *Log) openNewest() (raft.SnapshotMeta, io.ReadCloser, error) {
	// A snapshot that is replaced right now may be gone from the disk before
	// it is opened; the next look finds the newer one.
	var err error
	for range 3 {
		snapshots := l.view.Load().snapshots
		if len(snapshots) == 0 {
			return raft.SnapshotMeta{}, nil, ErrNoSnapshot
		}
		var r *snapshotReader
		r, err = openSnapshot(l.snapshotPath(snapshots[len(snapshots)-1], snapshotSuffix), l.identity.ClusterID)
		if err == nil {
			return r.meta, r, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			break
		}
	}
	return raft.SnapshotMeta{}, nil, fmt.Errorf("open snapshot: %w", err)
}

// ReceiveSnapshot stores a snapshot that a leader streams. The end of r must
// mean that all of it came: a stream that breaks off has to end in an error.
// Nothing counts before Save installs it. The last maxReceived that arrived are
// kept, so one that is about to be installed isn't lost when others arrive. Close waits for r to return from Read.
func (l *Log) ReceiveSnapshot(ctx context.Context, meta raft.SnapshotMeta, r io.Reader) error {
	if err := l.enter(); err != nil {
		return err
	}
	defer l.leave()
	if !l.receiving.TryLock() {
		return ErrSnapshotRunning
	}
	defer l.receiving.Unlock()
	if meta.Index == 0 {
		return errors.New("receive snapshot: it has no index")
	}
	_, err := l.writeSnapshot(meta, receivedSuffix, func(w io.Writer) error {
		_, err := io.CopyBuffer(w, contextReader{ctx, r}, make([]byte, chunkBytes))
		return err
	})
	if err != nil {
		return fmt.Errorf("receive snapshot at %d: %w", meta.Index, err)
	}
	l.pruneReceived(l.snapshotPath(meta, receivedSuffix))
	l.stats.received()
	return nil
}

// maxReceived is how many received snapshots wait to be installed at a time. Most
// of them never are, because they came too late to say anything new.
const maxReceived = 4

// pruneReceived notes that a received snapshot has arrived, and removes all but the
// last ones. What counts is when they came: the leader of a later term may send an
// older snapshot than the one before it did.
func (l *Log) pruneReceived(arrived string) {
	l.arrived = slices.DeleteFunc(l.arrived, func(name string) bool { return name == arrived })
	l.arrived = append(l.arrived, arrived)
	for len(l.arrived) > maxReceived {
		if err := os.Remove(l.arrived[0]); !errors.Is(err, os.ErrNotExist) { // it may be installed
			l.warnOfRemoval(err)
		}
		l.arrived = l.arrived[1:]
	}
}

// contextReader ends a stream when nobody waits for it any more.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// loadSnapshots looks at the snapshot files once the records are known. The
// newest must be whole. If it isn't, the one before it takes its place: the log
// still holds everything after that one.
func (l *Log) loadSnapshots() error {
	for len(l.base.snapshots) > 0 {
		newest := l.base.newest()
		meta, size, err := verifySnapshot(l.snapshotPath(newest, snapshotSuffix), l.identity.ClusterID)
		l.snapshotBytes.Store(size)
		if err == nil && meta.ChainHash != newest.ChainHash {
			err = damaged("it is not the one that was written")
		}
		if err == nil {
			break
		}
		if !errors.Is(err, ErrDamaged) && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		l.base.snapshots = l.base.snapshots[:len(l.base.snapshots)-1]
		// Without an older one, only a complete log can make up for it.
		if len(l.base.snapshots) == 0 && l.base.at.Index > 0 {
			return damaged("the only snapshot can't be used: %v", err)
		}
		l.options.Logger.Error("the newest snapshot can't be used; going back to the one before it",
			"index", newest.Index, "error", err)
	}
	v := *l.view.Load()
	v.snapshots = l.base.snapshots
	l.publish(&v)
	l.removeSnapshots(snapshotSuffix, receivedSuffix, temporary)
	return nil
}

// removeSnapshots removes the files with the given suffixes that no record
// names.
func (l *Log) removeSnapshots(suffixes ...string) {
	dir := filepath.Join(l.dir, snapshotDirectory)
	var keep []string
	for _, meta := range l.view.Load().snapshots {
		keep = append(keep, filepath.Base(l.snapshotPath(meta, snapshotSuffix)))
	}
	files, err := os.ReadDir(dir)
	for _, f := range files {
		named := slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(f.Name(), s) })
		if named && !slices.Contains(keep, f.Name()) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, f.Name())))
		}
	}
	l.warnOfRemoval(err)
}

// warnOfRemoval tells of files that can't be removed. They stay until the next
// time; they cost space and are never read.
func (l *Log) warnOfRemoval(err error) {
	if err != nil {
		l.options.Logger.Warn("old snapshots can't be removed", "error", err)
	}
}
