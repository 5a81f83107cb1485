//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// artifactsEnv names the directory for what outlives a failed test.
const artifactsEnv = "CONCLAVE_E2E_ARTIFACTS"

// workPattern is what the directories of all runs of these tests are called.
const workPattern = "conclave-e2e-*"

// workDir holds everything that this run writes: programs, data and disks.
var workDir string

func init() { prepare = makeWorkDir }

// makeWorkDir gives this run a directory for everything, and removes those of runs
// that were killed. Their mounts and processes ended with them: a process of these
// tests dies with the one that started it, and what they mount is in a namespace
// that ends with its last process.
func makeWorkDir() (clean func()) {
	base := os.TempDir()
	if os.Getenv(artifactsEnv) == "" {
		os.Setenv(artifactsEnv, base)
	}
	sweep(base)
	dir, lock, err := newWorkDir(base)
	if err != nil {
		fmt.Fprintln(os.Stderr, "a directory for these tests:", err)
		os.Exit(1)
	}
	workDir = dir
	os.Setenv("TMPDIR", dir) // for the directories of tests, too
	return func() {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		lock.Close()
	}
}

// newWorkDir makes a directory in base. It is in use as long as the lock is open.
func newWorkDir(base string) (dir string, lock *os.File, err error) {
	if dir, err = os.MkdirTemp(base, workPattern); err != nil {
		return "", nil, err
	}
	if lock, err = os.Create(filepath.Join(dir, "lock")); err != nil {
		return "", nil, err
	}
	return dir, lock, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
}

// sweep removes the directories of runs that have ended without doing so. One
// that can't be removed is left to the next run.
func sweep(base string) {
	dirs, _ := filepath.Glob(filepath.Join(base, workPattern)) // The pattern is well-formed.
	for _, dir := range dirs {
		lock, err := os.Open(filepath.Join(dir, "lock"))
		if err != nil {
			continue
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(dir)
		}
		lock.Close()
	}
}

func TestLeftoversOfDeadRunsAreRemoved(t *testing.T) {
	base := t.TempDir()
	dead, lock, err := newWorkDir(base)
	if err != nil {
		t.Fatal(err)
	}
	lock.Close()
	living, lock, err := newWorkDir(base)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	sweep(base)
	if _, err := os.Stat(dead); !os.IsNotExist(err) {
		t.Errorf("the directory of a dead run: %v", err)
	}
	if _, err := os.Stat(living); err != nil {
		t.Errorf("the directory of a living run: %v", err)
	}
}
