package badgerlog

import (
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// MaxWriteBytes and MaxWriteEntries bound the entries of one Write, by the sum
// of their SizeBytes and by number. A Write within both fits into one
// transaction; one beyond them may not, and is an error then.
const (
	MaxWriteBytes   = EntryBytesMax + 4<<10
	MaxWriteEntries = 44 << 10
)

// recordCost is what Badger adds to a record's key and value when it counts
// against the limit of a transaction: its two flag bytes and the version.
const recordCost = 12

// batch is one transaction that is being put together. It keeps Badger's
// account of the limits itself, to know how much room deletions may take.
type batch struct {
	txn   *badger.Txn
	bytes int64
	count int64
	// maxBytes and maxCount are exclusive.
	maxBytes int64
	maxCount int64
}

func (l *Log) newBatch() *batch {
	return &batch{
		txn: l.db.NewTransaction(true),
		// What Badger counts for the record that ends a transaction.
		bytes:    32,
		count:    1,
		maxBytes: l.db.MaxBatchSize(),
		maxCount: l.db.MaxBatchCount(),
	}
}

// fits tells whether n more records with the given sum of keys and values do.
func (b *batch) fits(n int, bytes int) bool {
	return b.count+int64(n) < b.maxCount && b.bytes+int64(bytes+n*recordCost) < b.maxBytes
}

func (b *batch) set(key, value []byte) error {
	if len(value) >= valueThresholdBytes {
		panic(fmt.Sprintf("badgerlog: a record of %d bytes would go to the value log", len(value)))
	}
	return b.add(len(key)+len(value), b.txn.Set(key, value))
}

func (b *batch) delete(key []byte) error {
	return b.add(len(key), b.txn.Delete(key))
}

// add counts a record that was put into the transaction with the given result.
func (b *batch) add(bytes int, err error) error {
	b.count++
	b.bytes += int64(bytes) + recordCost
	if err != nil {
		return fmt.Errorf("a write of more than %d bytes in %d records, where one transaction holds fewer than %d bytes in %d: %w",
			b.bytes, b.count, b.maxBytes, b.maxCount, err)
	}
	return nil
}

// sweepMin is how many dead records a batch deletes at least, if there are so
// many. It also deletes up to twice as many as it adds, so that the dead can't
// outgrow the living.
const sweepMin = 256

// sweep adds deletions of dead records, for a batch that adds so many records.
func (b *batch) sweep(g *graves, added int) error {
	for budget := max(2*added, sweepMin); budget > 0; {
		i, parts, ok := g.next()
		if !ok || !b.fits(parts, parts*entryKeyBytes) {
			return nil
		}
		for part := range parts {
			if err := b.delete(entryKey(i, part)); err != nil {
				return err
			}
		}
		g.drop()
		budget -= parts
	}
	return nil
}

// commit makes the batch durable. An error is a failure of the log.
func (l *Log) commit(b *batch) (time.Duration, error) {
	start := time.Now()
	done := make(chan error, 1)
	b.txn.CommitWith(func(err error) { done <- err })
	select {
	case err := <-done:
		if err != nil {
			return 0, fmt.Errorf("commit: %w", err)
		}
	case <-l.failure.done:
		// Badger waits forever for a flush that fails, and prints it.
	}
	// The sync of the value log comes before that of the records, and its
	// error is only printed.
	if err := l.failure.get(); err != nil {
		return 0, err
	}
	return time.Since(start), nil
}
