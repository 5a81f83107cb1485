package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// provisionerDir is the path that the host-path provisioner makes volumes in; it cannot be set.
const provisionerDir = "/tmp/hostpath_pv"

// launch describes a process of the cluster: what it runs and what it sees of the machine.
type launch struct {
	group string   // control group it is in from its first instruction
	netns string   // network namespace
	binds []string // FROM:TO folders that it and its children alone see at another path; may be empty
	log   string   // file that its output is appended to
	argv  []string // the command
}

// launch starts a process that outlives the tool. It starts the tool's own hidden `_launch`, which
// enters the group and the namespaces and then becomes the command: a process cannot be put into
// groups of version 1 by its parent before it runs. ended is called if it ends while the tool runs.
func (c *cluster) launch(l launch, ended func(error)) error {
	log, err := os.OpenFile(l.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	args := []string{"_launch", "--group", l.group, "--netns", l.netns}
	for _, bind := range l.binds {
		args = append(args, "--bind", bind)
	}
	cmd := exec.Command(c.tool(), append(append(args, "--"), l.argv...)...)
	cmd.Env = c.daemonEnv()
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt at the terminal is not for it
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", l.argv[0], err)
	}
	go func() { // ends with the process or with the tool, whichever is first
		_ = cmd.Wait() // that it ended at all is the error; its state says how
		ended(fmt.Errorf("%s ended (%v); its log is %s", filepath.Base(l.argv[0]), cmd.ProcessState, l.log))
	}()
	return nil
}

// daemonEnv is the environment of the cluster's processes. Nothing of the caller's is passed on: a
// proxy setting, for one, would break the way to the API server.
func (c *cluster) daemonEnv() []string {
	return []string{
		"PATH=" + c.Bin + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"KUBECONFIG=" + c.kubeconfig(),
		"HOME=/root",
	}
}

// become is what `_launch` does: it takes the places that the launch describes and turns into its command.
func (l launch) become() error {
	if len(l.argv) == 0 {
		return errors.New("no command")
	}
	if err := joinGroup(l.group); err != nil {
		return err
	}
	runtime.LockOSThread() // namespaces are per thread, and the thread that calls exec becomes the process
	if err := enterNetns(l.netns); err != nil {
		return err
	}
	if len(l.binds) > 0 {
		if err := bindFolders(l.binds); err != nil {
			return err
		}
	}
	return execute(l.argv)
}

// bindFolders gives the calling thread mounts of its own and puts folders at other paths in them. All
// of them vanish with the last process that sees them, so nothing is ever left to unmount.
func bindFolders(binds []string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("new mount namespace: %w", err)
	}
	// First private, so that nothing gets out to the machine; then shared, since the kubelet wants
	// mounts to pass from a node to its pods.
	for _, propagation := range []uintptr{unix.MS_PRIVATE, unix.MS_SHARED} {
		if err := unix.Mount("", "/", "", unix.MS_REC|propagation, ""); err != nil {
			return fmt.Errorf("set mount propagation: %w", err)
		}
	}
	for _, bind := range binds {
		from, to, ok := strings.Cut(bind, ":")
		if !ok {
			return fmt.Errorf("bind %q: want FROM:TO", bind)
		}
		if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s at %s: %w", from, to, err)
		}
	}
	return nil
}

// execute turns the calling process into a command, with the tool's own environment.
func execute(argv []string) error {
	program, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	if err := syscall.Exec(program, argv, os.Environ()); err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	return nil
}

// exec turns the tool into a command inside the control plane's network namespace, where the API
// server, the nodes and the pods are reachable. PATH starts with the tool itself, kubectl and helm.
func (c *cluster) exec(argv []string) error {
	for name, value := range c.userEnv() {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	runtime.LockOSThread()
	if err := enterNetns(c.controlPlaneNetns()); err != nil {
		return err
	}
	return execute(argv)
}

// userEnv is what a person's or a test's program needs to find its way about the cluster.
func (c *cluster) userEnv() map[string]string {
	return map[string]string{
		"KUBECONFIG":  c.kubeconfig(),
		"PATH":        filepath.Dir(c.tool()) + ":" + c.Bin + ":" + os.Getenv("PATH"),
		nameVariable:  c.name,
		logsVariable:  c.path("log"),
		assetVariable: c.Bin,
	}
}

// ctr runs containerd's client on a node and returns what it prints.
func (n node) ctr(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(n.Bin, "ctr"),
		append([]string{"--address", n.containerdSocket(), "--namespace", "k8s.io"}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("ctr %s on %s: %w: %s", args[0], n.hostname(), err, stderr.String())
	}
	return string(out), nil
}
