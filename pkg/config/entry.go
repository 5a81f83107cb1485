package config

// Entry is what one revision made of a key: a value, or a tombstone where the
// key was deleted. It never changes once it is made, so it is shared freely;
// nobody may write to Value.
type Entry struct {
	Key   string
	Value []byte
	// MediaType is kept as the writer gave it.
	MediaType string
	// CreateRevision is the revision that created the key, ModRevision the one
	// that last wrote it.
	CreateRevision uint64
	ModRevision    uint64
	// Version counts the writes since the key was created, itself the first. A
	// tombstone has version 0, no value, and ModRevision of the deletion.
	Version uint64
	// TimeMillis is the wall clock of the leader that took the write, in
	// milliseconds since 1970. It is shown, and nothing is decided by it.
	TimeMillis uint64
}

// Deleted tells whether the entry is a tombstone, which only history holds.
func (e *Entry) Deleted() bool { return e.Version == 0 }

// revision returns the ModRevision, and 0 for an absent key.
func (e *Entry) revision() uint64 {
	if e == nil {
		return 0
	}
	return e.ModRevision
}

// size returns the length of the value, and 0 for an absent key.
func (e *Entry) size() int {
	if e == nil {
		return 0
	}
	return len(e.Value)
}

// maxRevision bounds revisions: beyond 2^53 a reader that keeps JSON numbers in
// floating point would confuse two of them.
const maxRevision = 1 << 53

// entryOverheadBytes and namespaceOverheadBytes are charged beside the bytes
// of names and values, so that a multitude of tiny keys or namespaces can't
// take many times the memory that the limit allows.
const (
	entryOverheadBytes     = 128
	namespaceOverheadBytes = 1024
)

// chargeBytes is the entry's weight in every limit that counts bytes.
func (e *Entry) chargeBytes() int64 {
	return int64(len(e.Key)+len(e.Value)+len(e.MediaType)) + entryOverheadBytes
}
