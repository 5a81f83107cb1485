package config

// Entry is one live key with its value. It never changes once it is made, so
// it is shared freely; nobody may write to Value.
type Entry struct {
	Key   string
	Value []byte
	// MediaType is kept as the writer gave it.
	MediaType string
	// CreateRevision is the revision that created the key, ModRevision the one
	// that last wrote it.
	CreateRevision uint64
	ModRevision    uint64
	// Version counts the writes since the key was created, itself the first.
	Version uint64
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
