package badgerlog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	watermarkName = "watermark"
	// watermarkSyncInterval is how old the durable watermark may be, while
	// neither the term nor the vote changes.
	watermarkSyncInterval = 100 * time.Millisecond
)

// slots is where a watermark lies: a file, except in tests of failures.
type slots interface {
	io.WriterAt
	Sync() error
	Close() error
}

// watermarkFile keeps the watermark in two slots. A write goes to the slot that
// was not synced last, so whatever a power cut tears, the other slot holds what
// was synced. Its methods may be called at any time.
type watermarkFile struct {
	owner Identity

	mu    sync.Mutex
	slots slots
	// now is what was written last, with this sequence number.
	now      watermark
	sequence uint64
	// synced is the slot that was synced last; dirty tells whether the other
	// one has been written since.
	synced int
	dirty  bool
}

// formatWatermark makes the watermark file of a member that has acknowledged
// nothing. Both slots are written, so that one may be lost from the start.
func formatWatermark(dir string, owner Identity) error {
	data := make([]byte, 2*slotSpacing)
	for n := range 2 {
		copy(data[n*slotSpacing:], encodeSlot(owner, uint64(n+1), watermark{}))
	}
	return replaceFile(filepath.Join(dir, watermarkName), data)
}

// openWatermark reads the watermark of the directory's owner and makes it
// durable: what a process wrote and did not sync outlives the process, and must
// outlive the machine before it is relied on. A slot that can't be read is
// passed over; the warning says why, nil when both are sound.
func openWatermark(dir string, owner Identity) (w *watermarkFile, warning, err error) {
	path := filepath.Join(dir, watermarkName)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, damaged("the watermark file is missing")
	}
	if err != nil {
		return nil, nil, err
	}
	w = &watermarkFile{owner: owner, slots: dataFile{f}}
	if warning, err = w.read(f); err == nil {
		w.dirty = true
		err = w.sync()
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("watermark file %s: %w", path, err), f.Close())
	}
	return w, warning, nil
}

// read takes the later of the sound slots.
func (f *watermarkFile) read(from io.ReaderAt) (warning, err error) {
	var unusable []error
	for n := range 2 {
		v := make([]byte, slotBytes)
		if got, err := from.ReadAt(v, int64(n*slotSpacing)); err != nil && err != io.EOF {
			return nil, err
		} else if got < slotBytes {
			v = v[:got]
		}
		sequence, w, err := decodeSlot(v, f.owner)
		switch {
		case errors.Is(err, ErrDamaged):
			unusable = append(unusable, fmt.Errorf("slot %d: %w", n, err))
		case err != nil:
			return nil, err
		case sequence > f.sequence:
			// Read as not synced: sync makes this the slot synced last.
			f.now, f.sequence, f.synced = w, sequence, 1-n
		}
	}
	warning = errors.Join(unusable...)
	if len(unusable) == 2 {
		return nil, warning
	}
	return warning, nil
}

// get returns what was written last.
func (f *watermarkFile) get() watermark {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// write stores a watermark, unless it is there already. It outlives the process
// at once, and the machine after the next sync.
func (f *watermarkFile) write(w watermark) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if w == f.now {
		return nil
	}
	at := int64(1-f.synced) * slotSpacing
	if _, err := f.slots.WriteAt(encodeSlot(f.owner, f.sequence+1, w), at); err != nil {
		return fmt.Errorf("write watermark: %w", err)
	}
	f.now, f.sequence, f.dirty = w, f.sequence+1, true
	return nil
}

// sync makes what was written durable. Writes wait meanwhile, because the slot
// that is being synced must not change and the other one must stay.
func (f *watermarkFile) sync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.dirty {
		return nil
	}
	if err := f.slots.Sync(); err != nil {
		return fmt.Errorf("sync watermark: %w", err)
	}
	f.synced, f.dirty = 1-f.synced, false
	return nil
}

func (f *watermarkFile) close() error { return f.slots.Close() }

// dataFile is a file whose length never changes, so its data alone is synced.
type dataFile struct{ *os.File }

func (f dataFile) Sync() error { return syncData(f.File) }
