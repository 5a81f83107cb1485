package badgerlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// temporary ends the name of a file that is being written and counts for
	// nothing until it is renamed.
	temporary = ".tmp"
	lockFile  = "LOCK"
)

// lockDirectory makes this process the only user of dir until the returned
// file is closed. A lock of a process that died is gone with it.
func lockDirectory(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory %s must be writable by user ID %d: %w", dir, os.Getuid(), err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock data directory %s: %w", dir, err)
		}
		holder := "another process"
		if data, err := io.ReadAll(io.LimitReader(f, 20)); err == nil && len(data) > 0 {
			holder = "process " + strings.TrimSpace(string(data))
		}
		return nil, fmt.Errorf("data directory %s is in use by %s", dir, holder)
	}
	// The number is a courtesy to whoever reads the error above; the lock does
	// not depend on it.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt(strconv.AppendInt(nil, int64(os.Getpid()), 10), 0)
	}
	return f, nil
}

// replaceFile makes path hold data, durably and in one step: a crash leaves
// either what was there before or all of data.
func replaceFile(path string, data []byte) error {
	f, err := os.OpenFile(path+temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return moveFile(path+temporary, path)
}

// moveFile renames a synced file within its directory, durably.
func moveFile(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(to))
}

// syncDirectory makes the names in dir durable.
func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDirectory creates a directory in an existing one, durably.
func makeDirectory(path string) error {
	err := os.Mkdir(path, 0o700)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

// readAtMost reads a whole file that must not exceed limit bytes.
func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("it is longer than %d bytes", limit)
	}
	return data, err
}

// namesIn returns the names in dir that match a pattern, sorted. Unlike
// filepath.Glob it takes no part of dir's own name for a pattern.
func namesIn(dir, pattern string) ([]string, error) { return fs.Glob(os.DirFS(dir), pattern) }

// diskBytes returns what the files in dir occupy, which is less than their
// length where they have holes.
func diskBytes(dir string) (int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, e := range entries {
		var st unix.Stat_t
		err := unix.Stat(filepath.Join(dir, e.Name()), &st)
		if errors.Is(err, unix.ENOENT) {
			continue // Removed since the directory was read.
		}
		if err != nil {
			return 0, fmt.Errorf("size of %s: %w", filepath.Join(dir, e.Name()), err)
		}
		sum += st.Blocks * 512
	}
	return sum, nil
}
