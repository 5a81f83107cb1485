package badgerlog

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// Options say how a log is opened. The zero value works.
type Options struct {
	// Logger receives what is worth a person's attention. Default: the
	// process's default logger.
	Logger *slog.Logger
	// ClusterID, unless empty, is the cluster that the directory must belong
	// to; another one is an error.
	ClusterID string
	// OnFailure is called at most once, with the error after which the log
	// takes no more writes. It runs inside whatever met the error, so it must
	// return at once and not call the log.
	OnFailure func(error)
	// OnSave is called after each Save that reached the disk, by the goroutine
	// that saved. It must return at once.
	OnSave func(SaveReport)
	// SpaceReserveBytes is the free space below which the disk counts as full.
	// Default: 256 MiB, which is what Badger may need for itself.
	SpaceReserveBytes int64
	// SpaceMarginBytes, and the size of the newest snapshot, is the free space
	// above the reserve below which the disk counts as low. Default: 128 MiB.
	SpaceMarginBytes int64

	// freeBytes, in tests, tells how much of a directory's disk is free.
	freeBytes func(dir string) (int64, error)
	// watermarkTicks, in tests, tell when the watermark is to be synced.
	watermarkTicks <-chan time.Time
}

// SaveReport tells what one Save cost.
type SaveReport struct {
	// Sync is the time from handing the batch to Badger to its being durable.
	Sync time.Duration
	// Entries and Bytes count what was appended; Bytes are those of the
	// records, without Badger's own overhead.
	Entries int
	Bytes   int
}

// Validate tells what is wrong with the options.
func (o Options) Validate() error {
	if len(o.ClusterID) > clusterIDBytesMax {
		return fmt.Errorf("badgerlog options: ClusterID is longer than %d bytes", clusterIDBytesMax)
	}
	if o.SpaceReserveBytes < 0 || o.SpaceMarginBytes < 0 {
		return fmt.Errorf("badgerlog options: SpaceReserveBytes %d and SpaceMarginBytes %d must not be negative",
			o.SpaceReserveBytes, o.SpaceMarginBytes)
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.OnFailure == nil {
		o.OnFailure = func(error) {}
	}
	if o.OnSave == nil {
		o.OnSave = func(SaveReport) {}
	}
	if o.SpaceReserveBytes == 0 {
		o.SpaceReserveBytes = spaceReserveBytes
	}
	if o.SpaceMarginBytes == 0 {
		o.SpaceMarginBytes = spaceMarginBytes
	}
	if o.freeBytes == nil {
		o.freeBytes = freeBytes
	}
	return o
}

// memTableBytes decides two things. Badger bounds a transaction to 15 % of it in
// bytes, and to one record for each 96 bytes of that; this must hold one Write of
// MaxWriteBytes and MaxWriteEntries, with deletions beside. An entry's SizeBytes
// is more than what its records add to its data, so it takes 4.2 MB of 5 MB. And up to three tables of this size lie in memory
// while the log is written to at full speed.
const memTableBytes = 32 << 20

// badgerOptions returns how Badger is opened in dir. Whatever isn't set here
// has Badger's default, which is also named where it matters.
func badgerOptions(dir string, logger badger.Logger) badger.Options {
	o := badger.DefaultOptions(dir).WithLogger(logger)

	// Durability. The default is to leave syncing to the kernel.
	o = o.WithSyncWrites(true)
	// There is one writer, so conflicts can't be, and looking for them costs
	// memory for each key written.
	o = o.WithDetectConflicts(false)
	// Only the newest version of a record is ever read. The head gets a new
	// version with each Write; this lets compaction drop the others.
	o = o.WithNumVersionsToKeep(1)
	// The highest threshold there is. Values stay below it, so nothing is
	// written to the value log.
	o = o.WithValueThreshold(valueThresholdBytes)
	// The value log stays empty, and yet a file of twice this size, all hole,
	// is mapped and synced. This is the smallest allowed.
	o = o.WithValueLogFileSize(1 << 20)
	// Verifies each table when it is opened and when it was written: a damaged
	// one is found before it can hide a record. Blocks aren't verified again
	// at each read since the records carry checksums of their own.
	o = o.WithChecksumVerificationMode(options.OnTableRead)

	// Memory, most of which an idle node never touches. Two tables wait to be
	// flushed at most, instead of five; the free space that must be kept on
	// the disk for them follows from this number.
	o = o.WithMemTableSize(memTableBytes).WithNumMemtables(2)
	// Commands are often compressed or small; without compression blocks are
	// read from the page cache in place, and no block cache is needed.
	o = o.WithCompression(options.None).WithBlockCacheSize(0)
	// 0 keeps the index of each table in memory. There are few tables.
	o = o.WithIndexCacheSize(0)
	// Process-wide expvar counters, which nobody reads.
	o = o.WithMetricsEnabled(false)

	// Disk. A record lives for two snapshots and then dies, so tables of the
	// first level are merged early, where deletions meet what they delete,
	// and writes wait before more than six of them lie around.
	o = o.WithNumLevelZeroTables(2).WithNumLevelZeroTablesStall(6)
	// Two is the smallest number Badger accepts; a log has one busy place.
	o = o.WithNumCompactors(2)
	// Fewer and larger files than the default of 2 MiB.
	o = o.WithBaseTableSize(8 << 20)
	return o
}
