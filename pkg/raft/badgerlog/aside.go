package badgerlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/conclave-dev/conclave/pkg/raft"
)

const (
	// asidePrefix begins the names of logs that were set aside; a number
	// follows, the higher the later.
	asidePrefix = logDirectory + ".damaged-"
	// asideKept is how many of them are kept.
	asideKept = 2
)

// setAside puts a log of which nothing can be used out of the way, for people
// to look at, so that an empty one can take its place. The watermark remains:
// by it the member knows what it has lost.
func (l *Log) setAside(reason error) error {
	numbers, err := l.aside()
	if err != nil {
		return err
	}
	number := 1
	if len(numbers) > 0 {
		number = numbers[len(numbers)-1] + 1
	}
	to := l.asidePath(number)
	if err := moveFile(filepath.Join(l.dir, logDirectory), to); err != nil {
		return fmt.Errorf("set the damaged log aside: %w", err)
	}
	l.options.Logger.Error("the log can't be used; it was set aside and an empty one begun", "directory", to, "error", reason)
	for numbers = append(numbers, number); len(numbers) > asideKept; numbers = numbers[1:] {
		err = errors.Join(err, os.RemoveAll(l.asidePath(numbers[0])))
	}
	if err != nil {
		l.options.Logger.Warn("an older log that was set aside can't be removed", "error", err)
	}
	// What Badger printed about that log is not about the next.
	l.failure = newFailure()
	l.head, l.base, l.promised, l.graves = head{}, base{}, position{}, newGraves()
	l.view.Store(nil)
	l.state = raft.State{}
	return nil
}

// SetAside names the directories of the logs that were set aside and are still
// there, the oldest first.
func (l *Log) SetAside() []string {
	numbers, err := l.aside()
	if err != nil {
		l.options.Logger.Warn("the data directory can't be read", "error", err)
	}
	var names []string
	for _, number := range numbers {
		names = append(names, filepath.Base(l.asidePath(number)))
	}
	return names
}

func (l *Log) asidePath(number int) string {
	return filepath.Join(l.dir, asidePrefix+strconv.Itoa(number))
}

// aside returns the numbers of the logs that were set aside, ascending.
func (l *Log) aside() ([]int, error) {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), asidePrefix)
		if number, err := strconv.Atoi(digits); ok && err == nil {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}
