//go:build !linux

package badgerlog

import (
	"math"
	"os"
)

// syncData makes the data of a file durable whose length hasn't changed.
func syncData(f *os.File) error { return f.Sync() }

// freeBytes can't tell how much room there is, and so never holds a write back.
func freeBytes(string) (int64, error) { return math.MaxInt64, nil }

// takeRoom does nothing: there is no portable way.
func takeRoom(*os.File, int64) error { return nil }
