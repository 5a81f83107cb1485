package badgerlog

import (
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// Entries returns the durable entries from lo up to, not including, hi: at
// least the first, then more while their sizes together stay within maxBytes.
// Each is verified by its checksum, index and term. The error wraps
// raft.ErrCompacted when a compaction took the first of them away.
func (l *Log) Entries(lo, hi raft.Index, maxBytes int) ([]raft.Entry, error) {
	if err := l.enter(); err != nil {
		return nil, err
	}
	defer l.leave()
	entries, err := l.read(lo, hi, maxBytes)
	if err != nil {
		// A compaction or a truncation may have taken the entries away between
		// looking at the bounds and reading. With nothing under way the second
		// answer is the truth.
		l.mu.Lock()
		defer l.mu.Unlock()
		entries, err = l.read(lo, hi, maxBytes)
	}
	if err != nil {
		return nil, fmt.Errorf("read entries %d to %d: %w", lo, hi, err)
	}
	return entries, nil
}

func (l *Log) read(lo, hi raft.Index, maxBytes int) ([]raft.Entry, error) {
	v := l.view.Load()
	if lo <= v.base && lo <= hi && hi <= v.last+1 {
		return nil, fmt.Errorf("the log holds entries after %d: %w", v.base, raft.ErrCompacted)
	}
	if lo > hi || hi > v.last+1 {
		return nil, fmt.Errorf("the log holds entries after %d up to %d", v.base, v.last)
	}
	var entries []raft.Entry
	err := l.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{entryKeyPrefix}})
		defer it.Close()
		var reader entryReader
		size := 0
		next := lo
		for it.Seek(entryKey(lo, 0)); next < hi && it.Valid(); it.Next() {
			complete, err := v.readItem(&reader, next, it.Item())
			if err != nil {
				return err
			}
			if !complete {
				continue
			}
			size += reader.entry.SizeBytes()
			if next > lo && size > maxBytes {
				return nil
			}
			entries = append(entries, reader.entry)
			next++
		}
		if next < hi {
			return damaged("entry %d is missing", next)
		}
		return nil
	})
	return entries, err
}

// readItem adds one record of entry i to the reader, and verifies the entry's
// term against that of the view.
func (v *view) readItem(reader *entryReader, i raft.Index, item *badger.Item) (complete bool, err error) {
	at, part, _ := parseEntryKey(item.Key())
	if at != i {
		return false, damaged("entry %d is missing", i)
	}
	err = item.Value(func(value []byte) error {
		complete, err = reader.add(i, part, value)
		return err
	})
	if err == nil && complete && reader.entry.Term != v.term(i) {
		err = damaged("entry %d is of term %d and was written in term %d", i, reader.entry.Term, v.term(i))
	}
	return complete, err
}
