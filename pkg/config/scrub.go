package config

import "encoding/binary"

const (
	// ScrubInterval is how many indexes lie between two at which the hash takes
	// in a slice of the contents.
	ScrubInterval = 1024
	// A slice ends with the item that brings it to so many items or bytes.
	scrubItems = 4096
	scrubBytes = 1 << 20
)

// The parts of the contents, in the order in which a round takes them in. Their
// numbers stand in snapshots.
const (
	// scrubLive are the live entries, by namespace and key.
	scrubLive = iota
	// scrubRules are the settings of the store and then, of each namespace, its
	// settings and its schemas.
	scrubRules
	// scrubOlder are the older entries, by namespace, key and revision.
	scrubOlder
	// scrubJournal are the revisions, and scrubKept the results that are kept for
	// idempotency keys, by the index that made them.
	scrubJournal
	scrubKept
	scrubParts
)

// scrubCursor is the last item that the hash has taken in. All is zero at the
// beginning of a round, and all but part at the beginning of a part.
type scrubCursor struct {
	part           uint64
	namespace, key string
	// at is a revision or an index. Among the rules it counts those of the
	// namespace that were taken in, its settings the first.
	at uint64
}

// scrubber is one slice being taken in.
type scrubber struct {
	*State
	items, size int
}

// scrubSlice adds the next items to the hasher, round and round, and so finds what
// the hash of commands and results can't: contents that have changed by
// themselves, as when memory fails. A full store of 256 MiB takes 256 slices or,
// of the smallest entries, 512, and as much history as many again. Sessions are
// left out: what they hold was taken in as results, and is soon replaced.
func (s *State) scrubSlice() {
	b := scrubber{State: s}
	s.scratch = s.scratch[:0]
	for {
		switch s.scrub.part {
		case scrubLive:
			b.live()
		case scrubRules:
			b.rules()
		case scrubOlder:
			b.older()
		case scrubJournal:
			b.journal()
		case scrubKept:
			b.kept()
		}
		b.flush()
		if !b.more() {
			return
		}
		if s.scrub.part++; s.scrub.part == scrubParts {
			s.scrub = scrubCursor{} // The round is over.
			return
		}
		s.scrub = scrubCursor{part: s.scrub.part}
	}
}

// more tells whether the slice goes on.
func (b *scrubber) more() bool { return b.items < scrubItems && b.size < scrubBytes }

// took moves the cursor to an item of so many bytes and tells whether the slice
// goes on.
func (b *scrubber) took(to scrubCursor, bytes int) bool {
	b.flush()
	to.part = b.scrub.part
	b.scrub = to
	b.items++
	b.size += bytes
	return b.more()
}

func (b *scrubber) live() {
	from := b.scrub
	b.spaces.Ascend(from.namespace, func(name string, sp *space) bool {
		if sp.entries.Len() == 0 {
			return b.took(scrubCursor{namespace: name}, 0)
		}
		start := ""
		if name == from.namespace && from.key != "" {
			start = from.key + "\x00"
		}
		sp.entries.Ascend(start, func(key string, e *Entry) bool {
			b.entry(name, e)
			return b.took(scrubCursor{namespace: name, key: key}, len(e.Value))
		})
		return b.more()
	})
}

func (b *scrubber) rules() {
	from := b.scrub
	if from.namespace == "" {
		set := &b.settings
		b.numbers(uint64(set.QuotaBytes), set.HistoryAgeMillis, set.HistoryRevisions, uint64(set.HistoryBytes),
			set.IdempotencyWindowMillis, set.FeatureLevel, b.settingsRevision)
	}
	b.spaces.Ascend(from.namespace, func(name string, sp *space) bool {
		done := uint64(0)
		if name == from.namespace {
			done = from.at
		}
		if done == 0 {
			b.numbers(uint64(sp.settings.QuotaBytes), sp.settingsRevision, sp.schemaRevision, uint64(len(sp.schemas)))
			b.texts(name)
			done++
			b.took(scrubCursor{namespace: name, at: done}, 0)
		}
		for b.more() && done <= uint64(len(sp.schemas)) {
			a := sp.schemas[done-1]
			b.numbers(a.Revision, a.TimeMillis)
			b.texts(a.Prefix)
			b.bytes(a.Document)
			done++
			b.took(scrubCursor{namespace: name, at: done}, len(a.Document))
		}
		return b.more()
	})
}

func (b *scrubber) older() {
	from := b.scrub
	b.spaces.Ascend(from.namespace, func(name string, sp *space) bool {
		if sp.older == nil {
			return b.took(scrubCursor{namespace: name}, 0)
		}
		start := &Entry{}
		if name == from.namespace {
			start.Key, start.ModRevision = from.key, from.at+1
		}
		sp.older.Ascend(start, func(e *Entry) bool {
			b.entry(name, e)
			return b.took(scrubCursor{namespace: name, key: e.Key, at: e.ModRevision}, len(e.Value))
		})
		return b.more()
	})
}

func (b *scrubber) journal() {
	lost := b.history.pruned // by the first revision alone
	for r := range b.history.journal.from(b.scrub.at + 1) {
		if r != b.history.journal.first() {
			lost = 0
		}
		b.numbers(r.Number, r.TimeMillis, r.ageMillis, uint64(len(r.Changes)-lost))
		b.texts(r.Reason)
		size := 0
		for _, c := range r.Changes[lost:] {
			b.numbers(c.Entry.ModRevision, c.Entry.Version)
			b.texts(c.Namespace, c.Entry.Key)
			size += changeOverheadBytes + len(c.Entry.Key)
		}
		if !b.took(scrubCursor{at: r.Number}, size) {
			return
		}
	}
}

func (b *scrubber) kept() {
	b.contents.kept.byIndex.Ascend(b.scrub.at+1, func(index uint64, k *keptResult) bool {
		r := &k.result
		b.numbers(k.index, k.ageMillis, r.verdict(), r.Revision, r.Current, r.CreateRevision, r.Version)
		b.texts(k.name.namespace, k.name.key)
		b.bytes(k.fingerprint[:])
		if r.Txn != nil {
			b.bytes(r.Txn.encode(nil))
		}
		return b.took(scrubCursor{at: index}, int(k.chargeBytes()))
	})
}

// entry adds all of an entry.
func (b *scrubber) entry(namespace string, e *Entry) {
	b.numbers(e.CreateRevision, e.ModRevision, e.Version, e.TimeMillis)
	b.texts(namespace, e.Key, e.MediaType)
	b.bytes(e.Value)
}

// numbers adds numbers to what is taken in.
func (b *scrubber) numbers(numbers ...uint64) {
	for _, n := range numbers {
		b.scratch = binary.BigEndian.AppendUint64(b.scratch, n)
	}
}

// texts adds texts, each with its length in front.
func (b *scrubber) texts(texts ...string) {
	for _, t := range texts {
		b.numbers(uint64(len(t)))
		b.scratch = append(b.scratch, t...)
	}
}

// bytes adds bytes, with their length in front.
func (b *scrubber) bytes(bytes []byte) {
	b.numbers(uint64(len(bytes)))
	if b.flush(); len(bytes) > 0 {
		b.hasher.Write(bytes)
	}
}

// flush hands the hasher what was added.
func (b *scrubber) flush() {
	b.hasher.Write(b.scratch)
	b.scratch = b.scratch[:0]
}
