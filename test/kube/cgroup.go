package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unifiedRoot is where a machine of control groups version 2 alone has its one hierarchy.
const unifiedRoot = "/sys/fs/cgroup"

// hierarchies lists the mount points of every control group hierarchy. A group is made in all of them,
// also in those that limit nothing, because the kubelet and runc insist on finding theirs everywhere.
func hierarchies() ([]string, error) {
	if isUnified() {
		return []string{unifiedRoot}, nil
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	roots := parseHierarchies(string(mounts))
	if len(roots) == 0 {
		return nil, errors.New("no control groups are mounted below /sys/fs/cgroup")
	}
	return roots, nil
}

// parseHierarchies picks the control group mounts out of a mount table.
func parseHierarchies(mounts string) []string {
	var roots []string
	for line := range strings.Lines(mounts) {
		fields := strings.Fields(line)
		if len(fields) >= 3 && (fields[2] == "cgroup" || fields[2] == "cgroup2") && !slices.Contains(roots, fields[1]) {
			roots = append(roots, fields[1])
		}
	}
	return roots
}

func isUnified() bool {
	_, err := os.Stat(filepath.Join(unifiedRoot, "cgroup.controllers"))
	return err == nil
}

// census is the one hierarchy that is asked which processes are in a group.
func census() string {
	if isUnified() {
		return unifiedRoot
	}
	return filepath.Join(unifiedRoot, "pids")
}

// makeGroup makes a control group, and the groups above it, in every hierarchy.
func makeGroup(group string) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		if err := os.MkdirAll(filepath.Join(root, group), 0o755); err != nil {
			return fmt.Errorf("make control group: %w", err)
		}
	}
	if isUnified() {
		return delegate(group)
	}
	return nil
}

// delegate passes the controllers of version 2 down to a group, one level at a time. A controller that a
// level refuses is left out: the kubelet says what it misses.
func delegate(group string) error {
	path := unifiedRoot
	for element := range strings.SplitSeq(filepath.Dir(group), "/") {
		path = filepath.Join(path, element)
		controllers, err := os.ReadFile(filepath.Join(path, "cgroup.controllers"))
		if err != nil {
			return err
		}
		for _, name := range strings.Fields(string(controllers)) {
			_ = os.WriteFile(filepath.Join(path, "cgroup.subtree_control"), []byte("+"+name), 0)
		}
	}
	return nil
}

// joinGroup moves the calling process into a group. The cpuset hierarchy is left out: a new group there
// has no processors, so no process may enter it, and nothing here limits processors.
func joinGroup(group string) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		if filepath.Base(root) == "cpuset" {
			continue
		}
		file := filepath.Join(root, group, "cgroup.procs")
		if err := os.WriteFile(file, []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
			return fmt.Errorf("join control group: %w", err)
		}
	}
	return nil
}

// groupProcesses lists the processes in a group and in all groups below it.
func groupProcesses(group string) ([]int, error) {
	var pids []int
	err := filepath.WalkDir(filepath.Join(census(), group), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != "cgroup.procs" {
			return ignoreVanished(err)
		}
		file, err := os.Open(path)
		if err != nil {
			return ignoreVanished(err)
		}
		defer func() { _ = file.Close() }()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			// 0 stands for a process that this process namespace cannot see.
			if pid, err := strconv.Atoi(lines.Text()); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
		return nil
	})
	return pids, err
}

// ignoreVanished drops the errors of a group that went away while it was read.
func ignoreVanished(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// endGroup ends every process of a group and removes the group and those below it. It goes round until
// both are done: a process that is being killed may still start another, and the kernel empties a group
// a moment after its last process has ended.
func endGroup(ctx context.Context, group string) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		pids, err := groupProcesses(group)
		if err != nil {
			return err
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("kill process %d of group %s: %w", pid, group, err)
			}
		}
		var left error
		if len(pids) > 0 {
			left = fmt.Errorf("processes %v of control group %s do not end", pids, group)
		} else {
			left = removeGroup(roots, group)
		}
		if left == nil || !sleep(ctx, 50*time.Millisecond) {
			return left
		}
	}
}

// removeGroup removes an empty group and the groups below it from every hierarchy.
func removeGroup(roots []string, group string) error {
	var errs []error
	for _, root := range roots {
		errs = append(errs, removeTree(filepath.Join(root, group)))
	}
	return errors.Join(errs...)
}

// removeTree removes a folder of control groups, deepest first. Their files cannot be removed and go
// with the folder, which is why os.RemoveAll does not serve.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ignoreVanished(err)
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return ignoreVanished(os.Remove(dir))
}
