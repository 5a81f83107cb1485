package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// diskNeeded is what a cluster of three nodes takes in stateRoot, with some room for images.
const diskNeeded = 2 << 30

// doctor checks everything that a cluster needs of the machine and returns one message for each thing
// that is missing, with what to do about it.
func doctor(ctx context.Context) error {
	if os.Geteuid() != 0 {
		// The other checks would only fail for the same reason.
		return errors.New("not root: namespaces, mounts and control groups need it; run this with sudo")
	}
	return errors.Join(
		checkPrograms(),
		checkControlGroups(),
		checkKernel(),
		checkDisk(),
		checkNetwork(ctx),
	)
}

// checkRoot is for commands that only need to be root.
func checkRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("not root: namespaces need it; run this with sudo")
	}
	return nil
}

// checkPrograms looks for the programs that are not built but come with the system. Some are in sbin,
// which may be missing from the PATH even of root.
func checkPrograms() error {
	var errs []error
	for _, needed := range []struct{ program, packaged string }{
		{"ip", "iproute2"},
		{"nft", "nftables"}, // kube-proxy's
		{"mount", "mount"},  // the kubelet's
		{"umount", "mount"},
	} {
		if _, err := exec.LookPath(needed.program); err != nil {
			errs = append(errs, missing(needed.program, needed.packaged))
		}
	}
	if _, err := findRunc(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func missing(program, packaged string) error {
	return fmt.Errorf("%s is missing; apt-get install %s", program, packaged)
}

// findRunc returns the path of the OCI runtime.
func findRunc() (string, error) {
	found, err := exec.LookPath("runc")
	if err != nil {
		return "", missing("runc", "runc")
	}
	return filepath.Abs(found)
}

// checkControlGroups makes and removes a group in every hierarchy.
func checkControlGroups() error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	if !isUnified() {
		for _, controller := range []string{"cpu", "cpuacct", "cpuset", "memory", "pids"} {
			if !slices.ContainsFunc(roots, func(root string) bool {
				return slices.Contains(strings.Split(filepath.Base(root), ","), controller)
			}) {
				return fmt.Errorf("control group hierarchy %q is not mounted below %s", controller, unifiedRoot)
			}
		}
	}
	for _, root := range roots {
		group, err := os.MkdirTemp(root, "kube-doctor-")
		if err != nil {
			return fmt.Errorf("control groups cannot be made (in a container that is not privileged?): %w", err)
		}
		if err := os.Remove(group); err != nil {
			return err
		}
	}
	return nil
}

// checkKernel looks for the file system of container images.
func checkKernel() error {
	known, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return err
	}
	if !strings.Contains(string(known), "\toverlay\n") {
		return errors.New("the kernel has no overlay file system; modprobe overlay")
	}
	return nil
}

// checkDisk makes sure that images fit.
func checkDisk() error {
	dir := stateRoot
	for _, err := os.Stat(dir); err != nil && dir != "/"; _, err = os.Stat(dir) {
		dir = filepath.Dir(dir)
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return fmt.Errorf("free space of %s: %w", dir, err)
	}
	if free := disk.Bavail * uint64(disk.Bsize); free < diskNeeded {
		return fmt.Errorf("%s has %d MiB free; a cluster needs about %d MiB in %s", dir, free>>20, diskNeeded>>20, stateRoot)
	}
	return nil
}

// checkNetwork makes, in a namespace that it removes again, one of each thing that a cluster's network
// is made of: only a try tells whether the kernel has them.
func checkNetwork(ctx context.Context) (err error) {
	if checkPrograms() != nil {
		return nil // said already
	}
	name := fmt.Sprintf("kube-doctor-%d", os.Getpid())
	if err := addNetns(ctx, name); err != nil {
		return fmt.Errorf("network namespaces do not work: %w", err)
	}
	defer func() { err = errors.Join(err, deleteNetns(context.WithoutCancel(ctx), name)) }()
	for _, feature := range []struct{ what, command string }{
		{"bridge", "link add br0 type bridge"},
		{"veth", "link add veth0 type veth peer name veth1"},
	} {
		if err := ip(ctx, name, feature.command); err != nil {
			return fmt.Errorf("%s interfaces do not work (if the kernel lacks them: modprobe %s): %w", feature.what, feature.what, err)
		}
	}
	return inNetns(name, func() error {
		nft := exec.CommandContext(ctx, "nft", "--file", "-")
		nft.Stdin = strings.NewReader("add table ip doctor\nadd chain ip doctor nat { type nat hook prerouting priority dstnat; }\n")
		if out, err := nft.CombinedOutput(); err != nil {
			return fmt.Errorf("nftables do not work (if the kernel lacks them: modprobe nf_tables nft_chain_nat): %w: %s", err, out)
		}
		return nil
	})
}
