package badgerlog_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/badgerlog"
)

// writing returns what a state machine with this state gives to SaveSnapshot.
func writing(state string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, state)
		return err
	}
}

func readSnapshot(t *testing.T, l *badgerlog.Log) string {
	t.Helper()
	_, r, err := l.OpenSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func snapshotFiles(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "snapshots"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestFilesThatNoRecordNamesAreRemovedWhenTheLogIsOpened(t *testing.T) {
	dir := snapshotLog(t)
	want := snapshotFiles(t, dir)
	if len(want) != 2 {
		t.Fatalf("the files are %q", want)
	}
	whole, err := os.ReadFile(filepath.Join(dir, "snapshots", want[1]))
	if err != nil {
		t.Fatal(err)
	}
	// The first is what a crash between the file and the record leaves.
	newer := "00000000000000000001-00000000000000000090"
	for _, suffix := range []string{".snap", ".received", ".snap.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, "snapshots", newer+suffix), whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := openLog(t, dir)
	if got := snapshotFiles(t, dir); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the files are %q, expected %q", got, want)
	}
	if at := l.State().Snapshot.Index; at != 80 {
		t.Errorf("the snapshot is at %d, expected 80", at)
	}
}

func TestOnlyTheLastSnapshotsAreKept(t *testing.T) {
	dir := markedLog(t)
	l := openLog(t, dir)
	for at := raft.Index(10); at <= 100; at += 10 {
		if _, err := l.SaveSnapshot(raft.SnapshotMeta{Index: at, Term: 1}, writing("state")); err != nil {
			t.Fatal(err)
		}
	}
	for at := raft.Index(200); at <= 205; at++ {
		if err := l.ReceiveSnapshot(t.Context(), raft.SnapshotMeta{Index: at, Term: 1}, strings.NewReader("state")); err != nil {
			t.Fatal(err)
		}
	}
	want := "00000000000000000001-00000000000000000090.snap 00000000000000000001-00000000000000000100.snap " +
		"00000000000000000001-00000000000000000202.received 00000000000000000001-00000000000000000203.received " +
		"00000000000000000001-00000000000000000204.received 00000000000000000001-00000000000000000205.received"
	if got := strings.Join(snapshotFiles(t, dir), " "); got != want {
		t.Errorf("the files are %q, expected %q", got, want)
	}
}

func TestASnapshotOfAnotherClusterIsRefused(t *testing.T) {
	dir := snapshotLog(t)
	other := filepath.Join(t.TempDir(), "data")
	if err := badgerlog.Format(other, badgerlog.Identity{Member: 8, ClusterID: "other", Name: "node-1"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"identity", "watermark"} {
		data, err := os.ReadFile(filepath.Join(other, name))
		if err := errors.Join(err, os.WriteFile(filepath.Join(dir, name), data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := badgerlog.Open(dir, badgerlog.Options{Logger: quiet()})
	if err == nil || !strings.Contains(err.Error(), `belongs to cluster "cluster", not "other"`) {
		t.Fatalf("opening gave %v", err)
	}
	if files := snapshotFiles(t, dir); len(files) != 2 {
		t.Errorf("the files are %q, expected both to be left alone", files)
	}
}

func TestCloseGivesUpASnapshotThatIsBeingWritten(t *testing.T) {
	dir := markedLog(t)
	l := openLog(t, dir)
	started := make(chan struct{})
	done := make(chan error)
	go func() {
		_, err := l.SaveSnapshot(raft.SnapshotMeta{Index: 50, Term: 1}, func(w io.Writer) error {
			close(started)
			for {
				if _, err := w.Write(make([]byte, 1<<10)); err != nil {
					return err
				}
			}
		})
		done <- err
	}()
	<-started
	closed := make(chan error)
	go func() { closed <- l.Close() }()
	if err := <-done; !errors.Is(err, badgerlog.ErrClosed) {
		t.Errorf("the snapshot gave %v", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("close gave %v", err)
	}
	if files := snapshotFiles(t, dir); len(files) != 0 {
		t.Errorf("the files %q are left", files)
	}
}
