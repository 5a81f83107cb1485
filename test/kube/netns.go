package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// netnsDir is where ip(8) keeps network namespaces that have a name.
const netnsDir = "/run/netns"

// enterNetns moves the calling thread, which must be locked, into a network namespace. `ip netns exec`
// does not serve instead: it mounts /sys anew and so hides the control groups.
func enterNetns(name string) error {
	file, err := os.Open(filepath.Join(netnsDir, name))
	if err != nil {
		return fmt.Errorf("network namespace %s: %w", name, err)
	}
	defer func() { _ = file.Close() }()
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", name, err)
	}
	return nil
}

// inNetns calls do on a thread inside a network namespace. A socket that do opens stays there; a
// goroutine that do starts does not run there.
func inNetns(name string, do func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer func() { _ = home.Close() }()
	if err := enterNetns(name); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	err = do()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		// The thread stays locked and so ends with its goroutine: no other code may run on it.
		return errors.Join(err, fmt.Errorf("leave network namespace %s: %w", name, back))
	}
	runtime.UnlockOSThread()
	return err
}

// dialerIn returns a dial function whose connections start inside a network namespace. It takes literal
// addresses only: looking up a name would start goroutines outside of it.
func dialerIn(netns string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = inNetns(netns, func() error {
			conn, err = new(net.Dialer).DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}
}

// ip runs ip(8) commands in a network namespace, all or up to the first that fails.
func ip(ctx context.Context, netns string, commands ...string) error {
	cmd := exec.CommandContext(ctx, "ip", "-n", netns, "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip -n %s: %w: %s(commands: %s)", netns, err, out, strings.Join(commands, "; "))
	}
	return nil
}

// addNetns makes a network namespace whose loopback is up and which forwards packets.
func addNetns(ctx context.Context, name string) error {
	if out, err := exec.CommandContext(ctx, "ip", "netns", "add", name).CombinedOutput(); err != nil {
		return fmt.Errorf("ip netns add %s: %w: %s", name, err, out)
	}
	if err := ip(ctx, name, "link set lo up"); err != nil {
		return err
	}
	return inNetns(name, func() error { // the kernel shows each thread the settings of its own namespace
		return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
	})
}

// deleteNetns removes a network namespace with all its interfaces, if it exists.
func deleteNetns(ctx context.Context, name string) error {
	if _, err := os.Lstat(filepath.Join(netnsDir, name)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if out, err := exec.CommandContext(ctx, "ip", "netns", "delete", name).CombinedOutput(); err != nil {
		return fmt.Errorf("ip netns delete %s: %w: %s", name, err, out)
	}
	return nil
}

// namespacesOf lists the network namespaces of a cluster, also those that an interrupted `up` left.
func (c *cluster) namespacesOf() ([]string, error) {
	entries, err := os.ReadDir(netnsDir)
	if err != nil {
		return nil, ignoreVanished(err)
	}
	var names []string
	for _, entry := range entries {
		if name := entry.Name(); name == c.controlPlaneNetns() || strings.HasPrefix(name, c.name+"-node") {
			names = append(names, name)
		}
	}
	return names, nil
}
