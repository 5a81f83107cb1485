package badgerlog

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// Log is the durable side of one member: the Storage that pkg/raft/replica
// declares. Save is called by one goroutine; every other method may be called
// by any, at any time.
type Log struct {
	dir      string
	identity Identity
	options  Options
	failure  *failure
	lock     *os.File
	mark     *watermarkFile
	db       *badger.DB
	// boot is the number of this start.
	boot uint64
	// state is what was found at open.
	state raft.State

	// gate is held for reading by every call that uses db or files, and for
	// writing by Close, which thereby waits for them.
	gate      sync.RWMutex
	closed    bool
	closing   chan struct{}
	closeOnce sync.Once
	// background counts the goroutines that end when closing is closed.
	background sync.WaitGroup
	closeErr   error

	// mu serializes what changes Badger; it guards the fields below.
	mu     sync.Mutex
	head   head
	base   base
	graves *graves
	chain  *chainer
	// installs counts the logs that Save replaced by a snapshot.
	installs uint64
	// faulty tells that the log ends before the watermark, which is frozen
	// until the log has caught up with it.
	faulty bool
	// promised is the end of the log as the head record tells it at open.
	promised position

	// view and dead are replaced while mu is held, after the batch is durable;
	// dead is the number of entries in graves.
	view atomic.Pointer[view]
	dead atomic.Uint64

	// space is what Space told last, snapshotBytes the size of the newest
	// snapshot.
	space         atomic.Uint32
	snapshotBytes atomic.Int64
	tableRoom     tableRoom

	// snapshotting and receiving are held while a snapshot file is written.
	snapshotting sync.Mutex
	receiving    sync.Mutex
	// arrived holds the files of received snapshots in the order in which they came,
	// guarded by receiving.
	arrived []string

	stats counters
}

// State returns what the log held when it was opened, for raft.New. It doesn't
// follow later writes.
func (l *Log) State() raft.State { return l.state }

// Identity returns whose log this is.
func (l *Log) Identity() Identity { return l.identity }

// Boot returns the number of this start of the member: greater than that of each
// earlier one, and durable since before Open returned.
func (l *Log) Boot() uint64 { return l.boot }

// publish makes a batch that became durable visible to readers.
func (l *Log) publish(v *view) {
	l.view.Store(v)
	l.dead.Store(l.graves.count())
}

// enter begins a call; leave must follow unless it returns an error.
func (l *Log) enter() error {
	l.gate.RLock()
	if l.closed {
		l.gate.RUnlock()
		return ErrClosed
	}
	return nil
}

func (l *Log) leave() { l.gate.RUnlock() }

// closeAfterFailure bounds how long Close waits for Badger once it has failed:
// Badger tries to flush its tables forever on a disk that refuses.
const closeAfterFailure = 5 * time.Second

// errStillOpen says that Badger may still write into its directory.
var errStillOpen = errors.New("badger did not close")

// Close ends the log. Snapshots that are being written are given up, every
// other call is waited for, and the directory is free for another process when
// Close returns. A log that has failed is closed as far as the disk lets it,
// and Close returns the failure. Further calls return what the first did.
func (l *Log) Close() error {
	l.closeOnce.Do(func() {
		close(l.closing)
		l.background.Wait()
		l.gate.Lock()
		defer l.gate.Unlock()
		l.closed = true
		err := l.closeBadger()
		if failed := l.failure.get(); failed != nil {
			err = failed
		} else if err == nil {
			err = l.mark.sync()
		}
		if closeErr := l.mark.close(); err == nil {
			err = closeErr
		}
		if unlockErr := l.lock.Close(); err == nil {
			err = unlockErr
		}
		if err != nil {
			l.closeErr = fmt.Errorf("close log %s: %w", l.dir, err)
		}
	})
	return l.closeErr
}

// closeBadger closes Badger, or gives up on a Badger that failed.
func (l *Log) closeBadger() error {
	done := make(chan error, 1)
	go func() { done <- l.db.Close() }()
	select {
	case err := <-done:
		return err
	case <-l.failure.done:
	}
	select {
	case err := <-done:
		return err
	case <-time.After(closeAfterFailure):
		return fmt.Errorf("%w within %v", errStillOpen, closeAfterFailure)
	}
}
