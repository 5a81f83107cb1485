package badgerlog

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/conclave-dev/conclave/pkg/raft"
)

var (
	lostIdentity      = Identity{Member: 1, ClusterID: "old", Name: "node-0"}
	recoveredIdentity = Identity{Member: 9, ClusterID: "new", Name: "node-0"}
	silent            = Options{Logger: slog.New(slog.DiscardHandler)}
)

// survivor makes the directory of a stopped member with a snapshot at 20, and
// entries up to 30.
func survivor(t *testing.T) string {
	t.Helper()
	return survivorWith(t, 10, 20)
}

// survivorWith is survivor with snapshots at other indexes.
func survivorWith(t *testing.T, snapshots ...raft.Index) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := Format(dir, lostIdentity); err != nil {
		t.Fatal(err)
	}
	l := reopened(t, dir)
	old := raft.NewMembership(raft.Member{ID: 1, Name: "node-0"}, raft.Member{ID: 2, Name: "node-1"})
	entries := append([]raft.Entry{{Index: 1, Kind: raft.EntryMembership, Membership: &old}}, commands(3, 2, 30, 50)...)
	save(t, l, raft.Write{HardState: raft.HardState{Term: 4, Vote: 2, Commit: 25}, HardStateChanged: true, Entries: entries})
	for _, at := range snapshots {
		meta := raft.SnapshotMeta{Index: at, Term: 3, Membership: old, MembershipIndex: 1}
		if _, err := l.SaveSnapshot(meta, func(w io.Writer) error {
			_, err := io.WriteString(w, "state")
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func reopened(t *testing.T, dir string) *Log {
	t.Helper()
	l, err := Open(dir, silent)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// finalEntries make the survivor the only member.
func finalEntries(state raft.State, term raft.Term) []raft.Entry {
	alone := raft.NewMembership(raft.Member{ID: recoveredIdentity.Member, Name: "node-0", Address: "h:1"})
	return []raft.Entry{{Index: state.Last + 1, Term: term, Kind: raft.EntryMembership, Membership: &alone}}
}

// demandRecovered checks that a directory holds the new member's log.
func demandRecovered(t *testing.T, dir string) {
	t.Helper()
	l := reopened(t, dir)
	state := l.State()
	if l.Identity() != recoveredIdentity || state.Faulty || state.Last != 31 || state.Base != 20 || state.Snapshot.Index != 20 ||
		state.HardState != (raft.HardState{Term: 5, Vote: recoveredIdentity.Member, Commit: 25}) {
		t.Errorf("%v holds %+v", l.Identity(), state)
	}
	if at := state.Memberships[len(state.Memberships)-1]; at.Index != 31 || len(at.Membership.Members) != 1 || !at.Membership.IsVoter(9) {
		t.Errorf("the last membership is %+v", at)
	}
	entries, err := l.Entries(21, 31, 1<<20)
	if err != nil || len(entries) != 10 || string(entries[9].Data) != string(commands(3, 30, 30, 50)[0].Data) {
		t.Errorf("entries 21 to 30: %d of them, %v", len(entries), err)
	}
	if _, err := l.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if left, err := namesIn(dir, "recovery*"); err != nil || len(left) > 0 {
		t.Errorf("there is still %v (%v)", left, err)
	}
}

func TestARecoveryKeepsTheLogAndSetsTheOldFilesAside(t *testing.T) {
	dir := survivor(t)
	if err := Recover(t.Context(), dir, recoveredIdentity, silent, finalEntries); err != nil {
		t.Fatal(err)
	}
	demandRecovered(t, dir)

	// The old directory is whole, should somebody need it.
	l := reopened(t, filepath.Join(dir, "before-recovery-old"))
	if state := l.State(); l.Identity() != lostIdentity || state.Last != 30 || state.Faulty {
		t.Errorf("aside is %v with %+v", l.Identity(), state)
	}
	if err := Recover(t.Context(), dir, recoveredIdentity, silent, finalEntries); err == nil || !strings.Contains(err.Error(), "another member of another cluster") {
		t.Errorf("a second recovery to the same cluster: %v", err)
	}
}

func TestARecoveryOfADirectoryInUseChangesNothing(t *testing.T) {
	dir := survivor(t)
	l := reopened(t, dir)
	if err := Recover(t.Context(), dir, recoveredIdentity, silent, finalEntries); err == nil || !strings.Contains(err.Error(), "in use by process") {
		t.Errorf("Recover beside a running node: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if id, err := ReadIdentity(dir); err != nil || id != lostIdentity {
		t.Errorf("the directory is of %v, %v", id, err)
	}
	empty := t.TempDir()
	if err := Recover(t.Context(), empty, recoveredIdentity, silent, finalEntries); !errors.Is(err, ErrNotFormatted) {
		t.Errorf("Recover of an empty directory: %v", err)
	}
}

// swapSteps are the moves of a swap, in order, each as one that can be made
// alone.
func swapSteps(t *testing.T, dir string) []func() error {
	t.Helper()
	aside, ready := filepath.Join(dir, "before-recovery-old.moving"), filepath.Join(dir, recoveryReady)
	steps := []func() error{
		func() error { return makeDirectory(aside) },
		func() error { return moveAcross(dir, aside, identityFile) },
	}
	names := []string{logDirectory, snapshotDirectory, startsFile, watermarkName}
	for _, name := range names {
		steps = append(steps, func() error { return moveAcross(dir, aside, name) })
	}
	steps = append(steps, func() error { return moveFile(aside, strings.TrimSuffix(aside, beforeMoving)) })
	for _, name := range append(slices.Clone(names), identityFile) {
		steps = append(steps, func() error { return moveAcross(ready, dir, name) })
	}
	return steps
}

func TestARecoveryThatWasInterruptedIsFinishedByTheSameCommand(t *testing.T) {
	template := survivor(t)
	const begun, done = 2, 12 // after the old identity has gone; after the new one is there
	for made := range done {
		dir := filepath.Join(t.TempDir(), "data[1]*") // no name is a pattern
		if err := os.CopyFS(dir, os.DirFS(template)); err != nil {
			t.Fatal(err)
		}
		l := reopened(t, dir)
		if err := errors.Join(l.rebuild(t.Context(), recoveredIdentity, finalEntries), l.Close()); err != nil {
			t.Fatal(err)
		}
		steps := swapSteps(t, dir)
		if len(steps) != done {
			t.Fatalf("a swap has %d steps, want %d", len(steps), done)
		}
		for _, step := range steps[:made] {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		if made >= begun {
			if _, err := Open(dir, silent); err == nil || !strings.Contains(err.Error(), "was interrupted") {
				t.Fatalf("after %d steps a node would start: %v", made, err)
			}
			if name, err := Recovering(dir); err != nil || name != "node-0" {
				t.Errorf("after %d steps the node is %q, %v", made, name, err)
			}
			if err := Recover(t.Context(), dir, Identity{Member: 8, ClusterID: "other", Name: "node-0"}, silent, finalEntries); err == nil {
				t.Errorf("after %d steps the recovery was finished as another one", made)
			}
		}
		if err := Recover(t.Context(), dir, recoveredIdentity, silent, finalEntries); err != nil {
			t.Errorf("after %d steps: %v", made, err)
			continue
		}
		demandRecovered(t, dir)
	}
}

func TestADataDirectoryMayHaveAnyName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data[1]*")
	if err := os.Rename(survivor(t), dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, logDirectory, badger.ManifestFilename)); err != nil {
		t.Fatal(err)
	}
	l := reopened(t, dir)
	if state := l.State(); !state.Faulty || state.Snapshot.Index != 20 || len(l.SetAside()) != 1 {
		t.Errorf("set aside are %v, and the log begins with %+v", l.SetAside(), state)
	}
}

func TestARecoveryWithoutRoomChangesNothing(t *testing.T) {
	options := silent
	options.freeBytes = func(of string) (int64, error) {
		if filepath.Base(of) == recoveryBuilding {
			return 1 << 20, nil
		}
		return 1 << 40, nil
	}
	for what, dir := range map[string]string{"a snapshot": survivor(t), "entries only": survivorWith(t)} {
		if err := Recover(t.Context(), dir, recoveredIdentity, options, finalEntries); !errors.Is(err, ErrDiskFull) {
			t.Errorf("Recover of %s on a full disk: %v", what, err)
		}
		if id, err := ReadIdentity(dir); err != nil || id != lostIdentity {
			t.Errorf("the directory is of %v, %v", id, err)
		}
	}
}

func TestARecoveryIsNotBegunThatCouldNotEnd(t *testing.T) {
	dir := survivor(t)
	if err := os.MkdirAll(filepath.Join(dir, "before-recovery-old", "log"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Recover(t.Context(), dir, recoveredIdentity, silent, finalEntries); err == nil || !strings.Contains(err.Error(), "is in the way") {
		t.Errorf("Recover where an earlier one left its files: %v", err)
	}
	if id, err := ReadIdentity(dir); err != nil || id != lostIdentity {
		t.Errorf("the directory is of %v, %v", id, err)
	}
}
