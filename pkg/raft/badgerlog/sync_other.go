//go:build !linux

package badgerlog

import "os"

// syncData makes the data of a file durable whose length hasn't changed.
func syncData(f *os.File) error { return f.Sync() }
