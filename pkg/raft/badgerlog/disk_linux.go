package badgerlog

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData makes the data of a file durable whose length hasn't changed. It
// spares the journal the time of the last change, which fsync would write.
func syncData(f *os.File) error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return err
		}
	}
}

// freeBytes returns how many bytes this process may still write to dir's disk.
func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	for {
		err := unix.Statfs(dir, &st)
		if err == nil {
			return int64(st.Bavail) * st.Bsize, nil
		}
		if err != unix.EINTR {
			return 0, err
		}
	}
}

// takeRoom makes sure that the first bytes of a file can be written whatever becomes of
// the disk. What they hold stays. A file system that can't promise that is left alone.
func takeRoom(f *os.File, bytes int64) error {
	for {
		switch err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, bytes); err {
		case unix.EINTR:
		case unix.EOPNOTSUPP, unix.ENOSYS:
			return nil
		default:
			return err
		}
	}
}
