package badgerlog

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/dgraph-io/badger/v4"
)

// ErrDamaged says that the disk doesn't hold what was written to it. The
// member can't go on with this directory: it must be replaced by a new member. An
// older copy of the directory is no remedy, since it has forgotten votes and
// acknowledgements that were given. Every error that is caused by damage wraps it.
var ErrDamaged = errors.New("the data on disk is damaged")

// ErrClosed is the error of every call after Close.
var ErrClosed = errors.New("the log is closed")

// damaged says what is damaged, as an ErrDamaged.
func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// failure keeps the first error, after which a log takes no more writes.
type failure struct {
	// done is closed by the first error.
	done chan struct{}

	mu     sync.Mutex
	err    error
	notify func(error)
}

func newFailure() *failure { return &failure{done: make(chan struct{})} }

// set records err if it is the first, and returns the first.
func (f *failure) set(err error) error {
	f.mu.Lock()
	if f.err != nil {
		defer f.mu.Unlock()
		return f.err
	}
	f.err = err
	close(f.done)
	notify := f.notify
	f.mu.Unlock()
	if notify != nil {
		notify(err)
	}
	return err
}

func (f *failure) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// arm has notify called with the first error from now on. An error that came
// before is returned instead.
func (f *failure) arm(notify func(error)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notify = notify
	return f.err
}

// badgerLogger receives what Badger prints. Badger prints some errors that it
// doesn't return: a failed flush of a table, a failed sync of the value log, a
// damaged table that it leaves out while opening. Each is a failure of the log.
type badgerLogger struct {
	logger  *slog.Logger
	failure *failure
}

var _ badger.Logger = badgerLogger{}

func (l badgerLogger) Errorf(format string, args ...any) {
	text := text(format, args)
	l.logger.Error("badger", "message", text)
	_ = l.failure.set(errors.New("badger: " + text))
}

func (l badgerLogger) Warningf(format string, args ...any) {
	l.logger.Warn("badger", "message", text(format, args))
}

// Infof and Debugf say nothing: their lines are about Badger's inner life and
// several come with each memory table.
func (l badgerLogger) Infof(string, ...any)  {}
func (l badgerLogger) Debugf(string, ...any) {}

func text(format string, args []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, args...))
}
