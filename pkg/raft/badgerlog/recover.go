package badgerlog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/conclave-dev/conclave/pkg/raft"
)

const (
	// recoveryBuilding is a directory in which Recover builds the new one, and
	// recoveryReady its name once it is whole.
	recoveryBuilding = "recovery.building"
	recoveryReady    = "recovery.ready"
	// beforePrefix begins the name of the directory that keeps what was there
	// before; the old cluster's ID follows. beforeMoving ends it until all is
	// there.
	beforePrefix = "before-recovery-"
	beforeMoving = ".moving"
	// recoverBatchBytes is how much of the log is copied at a time.
	recoverBatchBytes = 4 << 20
)

// Recover makes the directory of a stopped member that of a new member of another
// cluster, which holds the same log and then what final returns: entries that
// follow the last one, all of the given term, which is above every term that the
// member knew. The old files are kept beside, in before-recovery-<old cluster>,
// until somebody removes them; there must be space for both.
//
// Until all of the new log is durable the directory stays as it was. After that
// the directory belongs to nobody until the new identity is in place; when the
// process ends in between, the same call finishes what was begun. The error is
// ErrDiskFull when there is no room for the new log. It fails while
// another process uses the directory.
func Recover(ctx context.Context, dir string, to Identity, options Options, final func(raft.State, raft.Term) []raft.Entry) error {
	if err := to.Validate(); err != nil {
		return err
	}
	old, err := ReadIdentity(dir)
	if err != nil {
		// Only the swap takes the identity away, and only when all is ready.
		ready, readyErr := ReadIdentity(filepath.Join(dir, recoveryReady))
		if readyErr != nil || ready.ClusterID != to.ClusterID || ready.Name != to.Name {
			return err
		}
		return swapLocked(dir, Identity{}, 0)
	}
	if old.ClusterID == to.ClusterID || old.Member == to.Member {
		return fmt.Errorf("data directory %s is of member %s of cluster %s: a recovery makes another member of another cluster", dir, old.Member, old.ClusterID)
	}
	// The swap ends with this name, and could neither go on nor back.
	before := filepath.Join(dir, beforePrefix+old.ClusterID)
	if _, err := os.Lstat(before); err == nil {
		return fmt.Errorf("%s is in the way: it is from an earlier recovery; move it elsewhere", before)
	}
	from, err := Open(dir, options)
	if err != nil {
		return err
	}
	if err := from.rebuild(ctx, to, final); err != nil {
		return errors.Join(fmt.Errorf("recover %s: %w", dir, err), from.Close())
	}
	if err := from.Close(); err != nil {
		return err
	}
	return swapLocked(dir, old, from.boot>>32)
}

// rebuild writes the new directory beside the old one.
func (l *Log) rebuild(ctx context.Context, identity Identity, final func(raft.State, raft.Term) []raft.Entry) error {
	building, ready := filepath.Join(l.dir, recoveryBuilding), filepath.Join(l.dir, recoveryReady)
	if err := errors.Join(os.RemoveAll(building), os.RemoveAll(ready)); err != nil {
		return err
	}
	if err := Format(building, identity); err != nil {
		return err
	}
	options := l.options
	options.ClusterID, options.OnFailure, options.OnSave = "", nil, nil // those are of the old one
	to, err := Open(building, options)
	if err != nil {
		return err
	}
	if err = to.copyFrom(ctx, l); err == nil {
		term := max(l.state.HardState.Term, l.view.Load().term(l.state.Last), l.state.Watermark.Term) + 1
		err = to.Save(&raft.Write{
			HardState:        raft.HardState{Term: term, Vote: identity.Member, Commit: l.state.HardState.Commit},
			HardStateChanged: true, Entries: final(l.state, term),
		})
	}
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	return moveFile(building, ready)
}

// copyFrom copies the newest snapshot of another log, and all entries after it.
func (l *Log) copyFrom(ctx context.Context, from *Log) error {
	// The vote was another member's.
	hard := raft.HardState{Term: from.state.HardState.Term}
	next := from.state.Base + 1
	meta, snapshot, err := from.OpenSnapshot()
	switch {
	case errors.Is(err, ErrNoSnapshot):
	case err != nil:
		return err
	default:
		err := errors.Join(l.ReceiveSnapshot(ctx, meta, snapshot), snapshot.Close())
		if err == nil {
			err = l.Save(&raft.Write{HardState: hard, HardStateChanged: true, Snapshot: &meta})
		}
		if err != nil {
			return fmt.Errorf("copy the snapshot at %d: %w", meta.Index, err)
		}
		next = meta.Index + 1
	}
	for next <= from.state.Last {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if l.Space() == raft.SpaceFull { // Badger would die of it.
			return fmt.Errorf("copy the entries from %d on: %w", next, ErrDiskFull)
		}
		entries, err := from.Entries(next, from.state.Last+1, recoverBatchBytes)
		if err != nil {
			return err
		}
		if err := l.Save(&raft.Write{HardState: hard, HardStateChanged: true, Entries: entries}); err != nil {
			return fmt.Errorf("copy the entries from %d on: %w", next, err)
		}
		next += raft.Index(len(entries))
	}
	return nil
}

// swapLocked puts the new directory in the place of the old one, provided that
// the old one is still what it was, at the given number of starts; no identity
// means that the swap was begun before.
func swapLocked(dir string, old Identity, starts uint64) error {
	lock, err := lockDirectory(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	if old != (Identity{}) {
		now, err := readStarts(filepath.Join(dir, startsFile))
		if err != nil {
			return err
		}
		if now != starts {
			return fmt.Errorf("data directory %s was used by another process meanwhile: recover it again", dir)
		}
	}
	if err := swap(dir, old.ClusterID); err != nil {
		return fmt.Errorf("put the recovered log of %s in place: %w; the same command goes on from here", dir, err)
	}
	return nil
}

// swap moves the old files aside, the identity first, and the new ones in, the
// identity last. Each step may find itself done.
func swap(dir, oldCluster string) error {
	ready := filepath.Join(dir, recoveryReady)
	moving, err := namesIn(dir, beforePrefix+"*"+beforeMoving)
	if err != nil {
		return err
	}
	if oldCluster != "" {
		name := beforePrefix + oldCluster + beforeMoving
		if len(moving) > 1 || len(moving) == 1 && moving[0] != name {
			return fmt.Errorf("%s is in the way: it is from another recovery", moving[0])
		}
		aside := filepath.Join(dir, name)
		if err := makeDirectory(aside); err != nil {
			return err
		}
		if err := moveAcross(dir, aside, identityFile); err != nil {
			return err
		}
		moving = []string{name}
	}
	for _, name := range moving {
		aside := filepath.Join(dir, name)
		if err := moveOurs(dir, aside, ""); err != nil {
			return err
		}
		if err := moveFile(aside, strings.TrimSuffix(aside, beforeMoving)); err != nil {
			return err
		}
	}
	if err := moveOurs(ready, dir, identityFile); err != nil {
		return err
	}
	if err := moveAcross(ready, dir, identityFile); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(ready), syncDirectory(dir))
}

// moveOurs moves the files of a data directory to another one on the same disk,
// but for one that stays.
func moveOurs(from, to, stays string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		switch {
		case name == stays:
			continue
		case name == identityFile, name == startsFile, name == watermarkName, name == logDirectory, name == snapshotDirectory,
			strings.HasPrefix(name, asidePrefix):
			if err := moveAcross(from, to, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// moveAcross moves a file or directory from one directory to another, durably.
func moveAcross(from, to, name string) error {
	if err := os.Rename(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
		return err
	}
	return errors.Join(syncDirectory(to), syncDirectory(from))
}

// Recovering returns the node's name of a directory in which a Recover was
// interrupted after the old identity was taken away. The error is that of
// ReadIdentity for every other directory.
func Recovering(dir string) (name string, err error) {
	_, err = ReadIdentity(dir)
	if err == nil {
		return "", fmt.Errorf("data directory %s has an identity", dir)
	}
	ready, readyErr := ReadIdentity(filepath.Join(dir, recoveryReady))
	if readyErr != nil {
		return "", err
	}
	return ready.Name, nil
}
