package config

import "encoding/binary"

const (
	// ScrubInterval is how many indexes lie between two at which the hash takes
	// in a slice of the contents.
	ScrubInterval = 1024
	// A slice ends with the entry that brings it to so many entries or bytes.
	scrubEntries = 4096
	scrubBytes   = 1 << 20
)

// scrubCursor is the last live entry that the hash has taken in. Both are empty
// at the beginning of a round.
type scrubCursor struct{ namespace, key string }

// scrubSlice adds the next live entries to the hasher, round and round, and so
// finds what the hash of commands and results can't: contents that have changed
// by themselves, as when memory fails. A full store of 256 MiB takes 256 slices
// or, of the smallest entries, 512.
func (s *State) scrubSlice() {
	entries, size := 0, 0
	more := true
	from := s.scrub
	s.spaces.Ascend(from.namespace, func(name string, sp *space) bool {
		start := ""
		if name == from.namespace {
			start = after(from.key)
		}
		sp.entries.Ascend(start, func(key string, e *Entry) bool {
			s.hashEntry(name, e)
			s.scrub = scrubCursor{name, key}
			entries++
			size += len(e.Value)
			more = entries < scrubEntries && size < scrubBytes
			return more
		})
		return more
	})
	if more {
		s.scrub = scrubCursor{} // The round is over.
	}
}

// hashEntry adds all of an entry to the hasher.
func (s *State) hashEntry(namespace string, e *Entry) {
	b := s.scratch[:0]
	for _, n := range [8]uint64{
		uint64(len(namespace)), uint64(len(e.Key)), uint64(len(e.MediaType)), uint64(len(e.Value)),
		e.CreateRevision, e.ModRevision, e.Version, e.TimeMillis,
	} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	b = append(append(append(b, namespace...), e.Key...), e.MediaType...)
	s.hasher.Write(b)
	s.hasher.Write(e.Value)
	s.scratch = b
}
