package badgerlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// Badger writes each record into a file that it maps into memory, one for each table in
// memory, and such a file begins as a hole. On a disk without a byte the kernel kills
// whoever touches the next page of a hole, be it for a vote of some bytes. So the room of
// the file is taken as soon as it is there and the disk has enough: then others who fill
// the disk can't end this process.

// tableRoom takes the room of Badger's newest table in memory.
type tableRoom struct {
	mu  sync.Mutex
	dir string
	// next is the number of the table that Badger makes next.
	next uint64
}

// begin looks for the table that Badger has begun in dir.
func (r *tableRoom) begin(dir string) error {
	names, err := namesIn(dir, "*.mem")
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dir, r.next = dir, 0
	for _, name := range names {
		var number uint64
		if _, err := fmt.Sscanf(name, "%d.mem", &number); err == nil {
			r.next = max(r.next, number)
		}
	}
	return nil
}

// take takes the room of the table that was made since the last call, if there is one.
func (r *tableRoom) take() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, err := os.OpenFile(filepath.Join(r.dir, fmt.Sprintf("%05d.mem", r.next)), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // The last one isn't full yet.
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	// Badger maps twice of what a table holds, and a table ends with the transaction
	// that fills it, which has at most 15 % of that.
	r.next++
	return takeRoom(f, info.Size()/2+info.Size()/8)
}
