//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// diskPrograms are what the disks of these tests need, with their packages.
func diskPrograms(outer string) map[string]string {
	packages := map[string]string{"xfs": "xfsprogs", "btrfs": "btrfs-progs"}
	return map[string]string{"mount": "mount", "umount": "mount", "mkfs.ext4": "e2fsprogs", "mkfs." + outer: packages[outer]}
}

const (
	// diskBytes is the size of one member's file system, nearly all of it a hole.
	// A member keeps some hundred MiB of it free.
	diskBytes = 1 << 30
	// outerBytes is the size of the file system that holds those of the members.
	outerBytes = 16 << 30
)

// disks are file systems of their own for members: ext4, one beside the other in
// one file, which lies on a file system that can clone a file in one instant.
type disks struct {
	t testing.TB
	// image is that file, and mounts are where its parts are mounted.
	image  string
	mounts []string
}

// newDisks makes disks on an outer file system, xfs or btrfs, which is itself in a
// file. They end with the test, and with the mount namespace at the latest.
func newDisks(t testing.TB, outer string, count int) *disks {
	t.Helper()
	dir := t.TempDir()
	below, file := filepath.Join(dir, "outer"), filepath.Join(dir, "outer.img")
	makeHole(t, file, outerBytes)
	if out, err := exec.Command("mkfs."+outer, "-q", file).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.%s: %v %s", outer, err, out)
	}
	if err := os.Mkdir(below, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-o", "loop", file, below).CombinedOutput(); err != nil {
		t.Skipf("this machine mounts no %s in a file: %v %s", outer, err, out)
	}
	t.Cleanup(func() { run(t, "umount", below) })
	d := &disks{t: t, image: filepath.Join(below, "disks")}
	makeHole(t, d.image, int64(count)*diskBytes)
	for i := range count {
		run(t, "mkfs.ext4", "-q", "-F", "-E", fmt.Sprintf("offset=%d", i*diskBytes), d.image, fmt.Sprint(diskBytes>>10))
		at := filepath.Join(dir, fmt.Sprint("disk", i))
		if err := os.Mkdir(at, 0o700); err != nil {
			t.Fatal(err)
		}
		d.mounts = append(d.mounts, at)
	}
	d.mount()
	t.Cleanup(d.unmount)
	return d
}

// makeHole makes a file that takes no space yet.
func makeHole(t testing.TB, path string, size int64) {
	t.Helper()
	f, err := os.Create(path)
	if err == nil {
		err = f.Truncate(size)
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (d *disks) mount() {
	d.t.Helper()
	for i, at := range d.mounts {
		run(d.t, "mount", "-o", fmt.Sprintf("loop,offset=%d,sizelimit=%d", i*diskBytes, diskBytes), d.image, at)
	}
}

func (d *disks) unmount() {
	d.t.Helper()
	for _, at := range d.mounts {
		run(d.t, "umount", at)
	}
}

// clone copies what all disks hold at one instant. What was not yet written to
// them, and is only in the memory of the machine, is not in the copy.
func (d *disks) clone() {
	d.t.Helper()
	run(d.t, "cp", "--reflink=always", d.image, d.image+".clone")
}

// useClone puts the clone in the place of the disks, as they are after the power
// was cut when it was taken. Nothing may use them.
func (d *disks) useClone() {
	d.t.Helper()
	d.unmount()
	if err := os.Rename(d.image+".clone", d.image); err != nil {
		d.t.Fatal(err)
	}
	d.mount()
}

// keepOn moves a node's data directory, before its first start.
func (n *node) keepOn(mount string) {
	n.dir = filepath.Join(mount, "data")
	n.setFlag("--data-dir", n.dir)
}

// newClusterOn lays out a cluster with one node on each disk.
func newClusterOn(t testing.TB, d *disks, flags ...string) *cluster {
	t.Helper()
	c := newCluster(t, len(d.mounts), flags...)
	for i, n := range c.nodes {
		n.keepOn(d.mounts[i])
	}
	return c
}
