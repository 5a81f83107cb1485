package badgerlog

import (
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// Save makes one write durable: entries, truncation and hard state in one
// synced transaction, then the watermark. A write that needs no disk costs none.
// The first error is final and comes back from every later call.
func (l *Log) Save(w *raft.Write) error {
	if err := l.enter(); err != nil {
		return err
	}
	defer l.leave()
	if err := l.failure.get(); err != nil {
		return err
	}
	if !w.NeedsDisk() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.head.accepts(w.HardState)
	switch {
	case err != nil:
	case w.Snapshot != nil && w.KeepLog:
		err = l.adopt(w)
	case w.Snapshot != nil:
		err = l.install(w)
	default:
		err = l.append(w)
	}
	if err != nil {
		return l.failure.set(fmt.Errorf("save: %w", err))
	}
	return nil
}

// append saves a write without a snapshot.
func (l *Log) append(w *raft.Write) error {
	v := l.view.Load()
	keep := v.last
	if w.TruncateFrom != 0 {
		keep = w.TruncateFrom - 1
	}
	if err := v.accepts(keep, w.Entries); err != nil {
		return err
	}
	chain, err := l.chainAt(keep)
	if err != nil {
		return err
	}
	if err := l.lowerWatermark(position{index: keep, term: v.term(keep), chain: chain}); err != nil {
		return err
	}
	b := l.newBatch()
	defer b.txn.Discard()
	report, chain, err := l.addEntries(b, chain, w.Entries)
	if err != nil {
		return err
	}
	next := v.appended(keep, w.Entries)
	l.graves.bury(next.last+1, v.last)
	l.head = head{hard: w.HardState, end: position{index: next.last, term: next.term(next.last), chain: chain}}
	if err := b.set(headKey, l.head.encode()); err != nil {
		return err
	}
	if err := b.sweep(l.graves, int(b.count)); err != nil {
		return err
	}
	if report.Sync, err = l.commit(b); err != nil {
		return err
	}
	if err := l.raiseWatermark(); err != nil {
		return err
	}
	l.publish(next)
	l.stats.saved(report)
	l.options.OnSave(report)
	return nil
}

// accepts tells whether a hard state may follow: terms only grow, and a vote is
// given once in each (section 5.2).
func (h head) accepts(next raft.HardState) error {
	old := h.hard
	if next.Term < old.Term || next.Term == old.Term && old.Vote != raft.NoMember && next.Vote != old.Vote {
		return fmt.Errorf("term %d with vote %s can't follow term %d with vote %s", next.Term, next.Vote, old.Term, old.Vote)
	}
	return nil
}

// accepts tells whether entries may follow what remains of the log when it is
// cut behind keep.
func (v *view) accepts(keep raft.Index, entries []raft.Entry) error {
	if keep < v.base || keep > v.last {
		return fmt.Errorf("truncation behind entry %d of a log that holds entries after %d up to %d", keep, v.base, v.last)
	}
	last, term := keep, v.term(keep)
	for i := range entries {
		e := &entries[i]
		if e.Index != last+1 || e.Term < term {
			return fmt.Errorf("entry %d of term %d can't follow entry %d of term %d", e.Index, e.Term, last, term)
		}
		last, term = e.Index, e.Term
	}
	return nil
}

// addEntries puts the records of entries into the batch, and returns the chain
// hash after the last.
func (l *Log) addEntries(b *batch, chain uint64, entries []raft.Entry) (SaveReport, uint64, error) {
	report := SaveReport{Entries: len(entries)}
	var records []record
	for i := range entries {
		e := &entries[i]
		data, err := entryData(e)
		if err != nil {
			return report, 0, err
		}
		if len(data) > EntryBytesMax {
			return report, 0, fmt.Errorf("entry %d has %d bytes, the most is %d", e.Index, len(data), EntryBytesMax)
		}
		records = appendRecords(records[:0], e, data, chain)
		for _, r := range records {
			if err := b.set(r.key, r.value); err != nil {
				return report, 0, err
			}
			report.Bytes += len(r.key) + len(r.value)
		}
		// What this entry replaces may have had more parts.
		old := l.graves.replace(e.Index, len(records))
		for part := len(records); part < old; part++ {
			if err := b.delete(entryKey(e.Index, part)); err != nil {
				return report, 0, err
			}
		}
		chain = l.chain.extend(chain, e, data)
	}
	return report, chain, nil
}

// chainAt returns the hash of the log up to an entry from base to last: each
// entry's record holds the hash before it.
func (l *Log) chainAt(i raft.Index) (uint64, error) {
	switch i {
	case l.head.end.index:
		return l.head.end.chain, nil
	case l.base.at.Index:
		return l.base.at.ChainHash, nil
	}
	var chain uint64
	err := l.db.View(func(txn *badger.Txn) error {
		value, err := readRecord(txn, entryKey(i+1, 0))
		if err != nil {
			return damaged("entry %d: %v", i+1, err)
		}
		var r entryReader
		_, err = r.add(i+1, 0, value)
		chain = r.chain
		return err
	})
	return chain, err
}
