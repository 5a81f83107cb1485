package badgerlog_test

import (
	"os"
	"path/filepath"

	"github.com/conclave-dev/conclave/pkg/raft/rafttest"
)

var _ rafttest.ForgetfulDisk = (*directory)(nil)

// Keep implements rafttest.ForgetfulDisk by a copy of Badger's files.
func (d *directory) Keep() error {
	d.kept = filepath.Join(d.t.TempDir(), "log")
	return copyDirectory(filepath.Join(d.path, "log"), d.kept)
}

// Forget implements rafttest.ForgetfulDisk: Badger's files are old, and the
// watermark beside them is not.
func (d *directory) Forget() error {
	log := filepath.Join(d.path, "log")
	if err := os.RemoveAll(log); err != nil {
		return err
	}
	return copyDirectory(d.kept, log)
}
