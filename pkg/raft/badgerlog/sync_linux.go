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
