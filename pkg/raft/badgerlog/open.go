package badgerlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"
)

const (
	logDirectory      = "log"
	snapshotDirectory = "snapshots"
)

// Open opens the log in a directory that Format has made. It reads and verifies
// the whole log, so its time grows with the log's length. A log that lost what
// was saved opens as that of a faulty member, as State says; one of which
// nothing can be used is set aside first. The error says which directory is
// meant and what can be done; it is ErrNotFormatted for an empty directory and
// wraps ErrDamaged when the member must be replaced.
func Open(dir string, options Options) (*Log, error) {
	return open(dir, options, badgerOptions)
}

// open is Open with another way to make Badger's options, for tests that want
// small tables.
func open(dir string, options Options, badgerOptions func(string, badger.Logger) badger.Options) (*Log, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	options = options.withDefaults()
	identity, err := ReadIdentity(dir)
	if err != nil {
		return nil, err
	}
	if options.ClusterID != "" && options.ClusterID != identity.ClusterID {
		return nil, fmt.Errorf("data directory %s belongs to cluster %q, not %q: name the directory of this cluster's member, or an empty one",
			dir, identity.ClusterID, options.ClusterID)
	}
	lock, err := lockDirectory(dir)
	if err != nil {
		return nil, err
	}
	l := &Log{
		dir:      dir,
		identity: identity,
		options:  options,
		lock:     lock,
		failure:  newFailure(),
		closing:  make(chan struct{}),
		graves:   newGraves(),
		chain:    newChainer(),
	}
	if l.boot, err = countStart(dir); err == nil {
		err = l.start(badgerOptions)
	}
	if err != nil {
		if errors.Is(err, ErrDamaged) {
			err = fmt.Errorf("%w; replace this member by one with an empty directory; an older copy of the directory would have forgotten votes that were given", err)
		}
		return nil, errors.Join(fmt.Errorf("open log %s: %w", dir, err), lock.Close())
	}
	return l, nil
}

// start opens the watermark and the log, and sets the log aside when nothing of
// it can be used.
func (l *Log) start(badgerOptions func(string, badger.Logger) badger.Options) (err error) {
	if err := makeDirectory(filepath.Join(l.dir, snapshotDirectory)); err != nil {
		return err
	}
	var warning error
	if l.mark, warning, err = openWatermark(l.dir, l.identity); err != nil {
		return err
	}
	if warning != nil {
		l.options.Logger.Error("one slot of the watermark can't be used; the other one takes its place", "error", warning)
	}
	err = l.openBadger(badgerOptions)
	if errors.Is(err, ErrDamaged) && !errors.Is(err, errStillOpen) {
		if err = l.setAside(err); err == nil {
			err = l.openBadger(badgerOptions)
		}
	}
	if err != nil {
		return errors.Join(err, l.mark.close())
	}
	l.background.Go(l.keepWatermark)
	return nil
}

// openBadger opens Badger and reads everything. An ErrDamaged means that nothing
// of the log can be used; what ails the machine is another error.
func (l *Log) openBadger(badgerOptions func(string, badger.Logger) badger.Options) error {
	dir := filepath.Join(l.dir, logDirectory)
	if err := makeDirectory(dir); err != nil {
		return err
	}
	options := badgerOptions(dir, badgerLogger{logger: l.options.Logger, failure: l.failure})
	if err := errors.Join(withoutManifest(dir), verifyTables(options)); err != nil {
		return err
	}
	db, err := openOrPanic(options)
	if err != nil && !ofMachine(err) {
		return damaged("badger: %v", err)
	}
	if err != nil {
		return err
	}
	l.db = db
	if err := l.tableRoom.begin(dir); err != nil {
		return errors.Join(err, l.closeBadger())
	}
	// Badger may print that it leaves a damaged table out, and go on.
	if err = l.failure.get(); err != nil {
		err = damaged("%v", err)
	} else {
		err = l.load()
	}
	if err == nil {
		err = l.failure.arm(l.options.OnFailure)
	}
	if err != nil {
		return errors.Join(err, l.closeBadger())
	}
	return nil
}

// openOrPanic opens Badger, which trusts some of what it reads: a panic means
// that the files hold what it never wrote.
func openOrPanic(options badger.Options) (db *badger.DB, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	return badger.Open(options)
}

// withoutManifest refuses a directory whose manifest is gone: Badger would take
// it for a new one and remove its tables.
func withoutManifest(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, badger.ManifestFilename)); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, pattern := range []string{"*.sst", "*.mem"} {
		// The pattern is sound, so there is no error.
		if names, _ := namesIn(dir, pattern); len(names) > 0 {
			return damaged("badger: there is %s but no manifest", names[0])
		}
	}
	return nil
}

// errDirectoryTaken has Badger's words for a directory that another process holds.
var errDirectoryTaken = errors.New("Cannot acquire directory lock") //nolint:staticcheck // not ours to spell

// machineErrors are failures of the machine, or of how it is set up. They say
// nothing about what lies on the disk.
var machineErrors = []error{
	unix.EACCES, unix.EPERM, unix.EROFS, unix.ENOSPC, unix.EDQUOT, unix.EMFILE, unix.ENFILE,
	unix.ENOMEM, unix.EAGAIN, unix.EIO, errDirectoryTaken,
}

// ofMachine tells whether an error of Badger is one of them. Badger passes on
// the text of an error, not the error itself.
func ofMachine(err error) bool {
	return slices.ContainsFunc(machineErrors, func(known error) bool {
		return strings.Contains(err.Error(), known.Error())
	})
}
