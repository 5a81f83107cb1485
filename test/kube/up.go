package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// stepLimit bounds each wait of `up`. On two idle cores the longest takes 8 s; the rest is for machines
// that are busy with something else.
const stepLimit = 3 * time.Minute

// up starts a cluster in place of what is left of an earlier one of that name, and returns when its DNS
// answers on every node. An interrupt removes it again; a failure leaves it for a look at its logs.
func (c *cluster) up(ctx context.Context) error {
	unlock, err := c.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := c.remove(ctx); err != nil {
		return err
	}
	began, ended := context.WithCancelCause(ctx)
	defer ended(nil)
	err = c.start(began, ended)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return errors.Join(err, c.remove(ctx))
	}
	if cause := context.Cause(began); cause != nil && !errors.Is(err, cause) {
		err = cause // a process ended, and the rest follows from that
	}
	return fmt.Errorf("%w\nlogs are in %s; `down` removes what was started", err, c.path("log"))
}

// start brings up all parts of the cluster. ended ends the context with a cause; it is called when one
// of the cluster's processes ends, since nothing that is waited for will come then.
func (c *cluster) start(ctx context.Context, ended func(error)) error {
	began := time.Now()
	report := func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%3.0f s  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	if err := c.prepare(ctx); err != nil {
		return err
	}
	if err := c.startControlPlane(ended); err != nil {
		return err
	}
	report("control plane started")
	if err := c.startNodes(ctx, ended); err != nil {
		return err
	}
	api, err := c.newAPIClient()
	if err != nil {
		return err
	}
	if err := waitFor(ctx, "API server", c.log("kube-apiserver"), stepLimit, func(ctx context.Context) error {
		return api.get(ctx, "/readyz", nil)
	}); err != nil {
		return err
	}
	if err := os.WriteFile(c.apiMark(), nil, 0o644); err != nil {
		return err
	}
	report("API server ready")
	if err := c.startControllers(ended); err != nil {
		return err
	}
	if err := waitFor(ctx, "nodes", c.path("log", "node*", "kubelet.log"), stepLimit, func(ctx context.Context) error {
		return api.nodesReady(ctx, c.Nodes)
	}); err != nil {
		return err
	}
	report("%d nodes Ready", c.Nodes)
	if err := c.startDNS(ctx); err != nil {
		return err
	}
	report("cluster DNS answers; KUBECONFIG is %s", c.kubeconfig())
	return nil
}

// prepare makes everything that processes find: folders, keys, the switch and the first images.
func (c *cluster) prepare(ctx context.Context) error {
	for _, folder := range []string{"log", "images", "volumes", "bin"} {
		if err := os.MkdirAll(c.path(folder), 0o755); err != nil {
			return err
		}
	}
	if err := c.save(); err != nil {
		return err
	}
	// The tool may have been built by `go run` and vanish when it ends, but its nodes need it again.
	if err := copyProgram("/proc/self/exe", c.tool()); err != nil {
		return err
	}
	if err := c.makeKeys(); err != nil {
		return err
	}
	return c.makeSwitch(ctx)
}

// startNodes makes the nodes and powers them on, while the API server is still starting.
func (c *cluster) startNodes(ctx context.Context, ended func(error)) error {
	if err := c.writeFirstImages(); err != nil {
		return err
	}
	for _, n := range c.nodes() {
		if err := n.connect(ctx); err != nil {
			return err
		}
		if err := n.configure(); err != nil {
			return err
		}
		if err := n.powerOn(ended); err != nil {
			return err
		}
	}
	return nil
}

// startDNS applies the first objects and waits for DNS. It comes after the nodes: pods that are tried
// before there is a node wait out the scheduler's back-off.
func (c *cluster) startDNS(ctx context.Context) error {
	manifest, err := files.ReadFile("files/base.yaml")
	if err != nil {
		return err
	}
	if err := waitFor(ctx, "first objects", c.log("kube-apiserver"), stepLimit, func(ctx context.Context) error {
		return c.apply(ctx, manifest)
	}); err != nil {
		return err
	}
	for _, n := range c.nodes() {
		hint := n.logs() + " and `kubectl --namespace kube-system get pods`"
		if err := waitFor(ctx, "cluster DNS", hint, stepLimit, n.resolves); err != nil {
			return err
		}
	}
	return nil
}

// copyProgram copies an executable file.
func copyProgram(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// down removes the cluster, whatever state it is in. It is no error if there is none.
func (c *cluster) down(ctx context.Context) error {
	unlock, err := c.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return c.remove(ctx)
}

// remove ends all processes in the cluster's control groups and then removes what they used. Mounts go
// with the last process that sees them. It runs to its end also when the context is over, because half
// a cluster is of no use to anyone; a second interrupt ends the tool itself.
func (c *cluster) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := endGroup(ctx, c.name); err != nil {
		return err
	}
	namespaces, err := c.namespacesOf()
	if err != nil {
		return err
	}
	for _, namespace := range namespaces {
		if err := deleteNetns(ctx, namespace); err != nil {
			return err
		}
	}
	return c.removeFiles()
}

// removeFiles removes the cluster's directory, unless something is mounted in it: removing would then
// go through to what is mounted.
func (c *cluster) removeFiles() error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], c.path()+"/") {
			return fmt.Errorf("%s is still mounted; unmount it and try again", fields[1])
		}
	}
	if err := os.RemoveAll(c.path()); err != nil {
		return err
	}
	_ = os.Remove(filepath.Dir(c.path())) // fails while there are other clusters, which is right
	return nil
}

// lock makes sure that one command at a time makes or removes a cluster. It is a socket with an abstract
// name: the kernel drops it with the process, and no file is left.
func (c *cluster) lock() (unlock func(), err error) {
	listener, err := net.Listen("unix", "@conclave-kube-"+c.name)
	if err != nil {
		return nil, fmt.Errorf("another `up` or `down` of cluster %q is running: %w", c.name, err)
	}
	return func() { _ = listener.Close() }, nil
}
