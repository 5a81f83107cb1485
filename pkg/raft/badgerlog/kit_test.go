package badgerlog_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/conclave-dev/conclave/pkg/raft/badgerlog"
	"github.com/conclave-dev/conclave/pkg/raft/rafttest"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerDirectory); dir != "" {
		os.Exit(runWriter(dir))
	}
	goleak.VerifyTestMain(m,
		// Badger leaves these behind when it fails to open. One that was opened
		// and not closed has others as well.
		goleak.IgnoreAnyFunction("github.com/dgraph-io/badger/v4.(*DB).monitorCache"),
		goleak.IgnoreAnyFunction("github.com/dgraph-io/badger/v4.(*DB).updateSize"),
		goleak.IgnoreAnyFunction("github.com/dgraph-io/badger/v4/y.(*WaterMark).process"),
		goleak.IgnoreAnyFunction("github.com/dgraph-io/ristretto/v2/z.(*AllocatorPool).freeupAllocators"))
}

var (
	_ replica.Storage    = (*badgerlog.Log)(nil)
	_ replica.SpaceGauge = (*badgerlog.Log)(nil)
)

func TestLogIsAStorage(t *testing.T) {
	rafttest.TestStorage(t, func(t *testing.T) rafttest.StorageDisk {
		return &directory{t: t, path: formatted(t)}
	})
}

var identity = badgerlog.Identity{Member: 7, ClusterID: "cluster", Name: "node-0"}

// formatted returns a data directory that holds no log yet.
func formatted(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := badgerlog.Format(dir, identity); err != nil {
		t.Fatal(err)
	}
	return dir
}

// quiet is for tests that provoke errors.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// openLog opens a log and closes it when the test ends.
func openLog(t testing.TB, dir string) *badgerlog.Log {
	t.Helper()
	l, err := badgerlog.Open(dir, badgerlog.Options{Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// directory is a data directory as the kit's disk. A crash goes on with a copy
// of the files, which is what the death of the process would have left: the
// pages that a process has written outlive it.
type directory struct {
	t    *testing.T
	path string
	// kept is a copy of the log to which Forget goes back.
	kept string
}

func (d *directory) Open() (rafttest.OpenedStorage, error) {
	l, err := badgerlog.Open(d.path, badgerlog.Options{Logger: quiet()})
	if err != nil {
		return rafttest.OpenedStorage{}, err
	}
	d.t.Cleanup(func() { _ = l.Close() })
	return rafttest.OpenedStorage{Storage: l, State: l.State(), Close: l.Close}, nil
}

func (d *directory) Crash() error {
	// Badger flushes and merges tables in the background. A copy during which
	// it did is of no single moment, and is made again.
	for range 100 {
		before := d.files()
		path := filepath.Join(d.t.TempDir(), "data")
		err := copyDirectory(d.path, path)
		if slices.Equal(before, d.files()) {
			d.path = path
			return err
		}
	}
	return errors.New("the directory never stood still")
}

// files describes what lies in the log, by name and length.
func (d *directory) files() []string {
	entries, err := os.ReadDir(filepath.Join(d.path, "log"))
	if err != nil {
		d.t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			list = append(list, err.Error()) // Removed just now.
			continue
		}
		list = append(list, fmt.Sprint(e.Name(), info.Size()))
	}
	return list
}

func copyDirectory(from, to string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		source, target := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		if e.IsDir() {
			err = copyDirectory(source, target)
		} else {
			err = copyFile(source, target)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// copyFile copies a file and leaves its holes, which are most of a log that
// Badger has open.
func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.Create(to)
	if err != nil {
		return err
	}
	info, err := source.Stat()
	if err == nil {
		err = target.Truncate(info.Size())
	}
	for at := int64(0); err == nil; {
		var data, hole int64
		data, err = unix.Seek(int(source.Fd()), at, unix.SEEK_DATA)
		if err != nil {
			break
		}
		if hole, err = unix.Seek(int(source.Fd()), data, unix.SEEK_HOLE); err == nil {
			_, err = io.Copy(io.NewOffsetWriter(target, data), io.NewSectionReader(source, data, hole-data))
			at = hole
		}
	}
	if errors.Is(err, unix.ENXIO) {
		err = nil // There is no data behind.
	}
	return errors.Join(err, target.Close())
}
