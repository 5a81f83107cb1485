package badgerlog

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/dgraph-io/badger/v4"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// Verification is what Verify read and found whole.
type Verification struct {
	// First and Last bound the log, Bytes is what its entries' records hold.
	First raft.Index
	Last  raft.Index
	Bytes int64
	// SnapshotIndex is the index of the newest snapshot, 0 when there is none,
	// and SnapshotBytes the size of its data.
	SnapshotIndex raft.Index
	SnapshotBytes int64
}

// Verify reads every entry of the log and the newest snapshot from the disk, as
// they are at one instant, and checks all that Open checks: checksums, indexes,
// that terms never fall, and the chain of hashes from the base to the head. It
// runs beside everything else and changes nothing. Its error wraps ErrDamaged
// when something isn't what was written, ErrClosed when the log is closed
// meanwhile, and is ctx's when that ended first.
func (l *Log) Verify(ctx context.Context) (Verification, error) {
	if err := l.enter(); err != nil {
		return Verification{}, err
	}
	defer l.leave()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	go func() {
		select {
		case <-l.closing:
			end(ErrClosed)
		case <-ctx.Done():
		}
	}()
	v := Verification{Last: l.view.Load().last}
	if err := l.db.View(func(txn *badger.Txn) error { return l.verifyLog(ctx, txn, &v) }); err != nil {
		return v, fmt.Errorf("verify the log: %w", err)
	}
	meta, snapshot, err := l.openNewest()
	if errors.Is(err, ErrNoSnapshot) {
		return v, nil
	}
	if err != nil {
		return v, fmt.Errorf("verify: %w", err)
	}
	v.SnapshotBytes, err = io.CopyBuffer(io.Discard, contextReader{ctx, snapshot}, make([]byte, chunkBytes))
	if err = errors.Join(err, snapshot.Close()); err != nil {
		return v, fmt.Errorf("verify the snapshot at %d: %w", meta.Index, err)
	}
	v.SnapshotIndex = meta.Index
	return v, nil
}

// verifyLog reads the log as one transaction sees it.
func (l *Log) verifyLog(ctx context.Context, txn *badger.Txn, v *Verification) error {
	var h head
	var b base
	value, err := readRecord(txn, headKey)
	if errors.Is(err, badger.ErrKeyNotFound) {
		if v.Last > 0 {
			return damaged("there is no head record")
		}
		v.First = 1
		return nil // Nothing was ever written.
	}
	if err == nil {
		h, err = decodeHead(value)
	}
	if err != nil {
		return err
	}
	if value, err = readRecord(txn, baseKey); err == nil {
		b, err = decodeBase(value)
	}
	if err != nil && !errors.Is(err, badger.ErrKeyNotFound) {
		return err
	}
	v.First, v.Last = b.at.Index+1, h.end.index
	c := checker{next: v.First, term: b.at.Term, chain: b.at.ChainHash, chainer: newChainer()}
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{entryKeyPrefix}})
	defer it.Close()
	for it.Seek(entryKey(c.next, 0)); c.next <= h.end.index && it.Valid(); it.Next() {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := c.add(it.Item()); err != nil {
			return err
		}
	}
	v.Bytes = c.bytes
	switch {
	case c.next != h.end.index+1:
		return damaged("entry %d is missing; the log should end with entry %d", c.next, h.end.index)
	case c.chain != h.end.chain:
		return damaged("the log up to entry %d is not the one that was written: its chain hash differs", h.end.index)
	}
	return nil
}

// checker is where verifyLog stands: the entry that must come next, and the term
// and the hash of the log before it.
type checker struct {
	reader  entryReader
	next    raft.Index
	term    raft.Term
	chain   uint64
	bytes   int64
	chainer *chainer
}

// add takes the next record.
func (c *checker) add(item *badger.Item) error {
	i, part, ok := parseEntryKey(item.Key())
	if !ok || i != c.next {
		return damaged("entry %d is missing: the next record has the key %x", c.next, item.Key())
	}
	var complete bool
	err := item.Value(func(value []byte) (err error) {
		c.bytes += int64(len(value))
		complete, err = c.reader.add(i, part, value)
		return err
	})
	if err != nil || !complete {
		return err
	}
	e := &c.reader.entry
	switch {
	case c.reader.chain != c.chain:
		return damaged("entry %d follows another log: the chain hash before it differs", e.Index)
	case e.Term < c.term:
		return damaged("entry %d of term %d follows one of term %d", e.Index, e.Term, c.term)
	}
	c.chain = c.chainer.extend(c.chain, e, c.reader.data)
	c.term = e.Term
	c.next++
	return nil
}
