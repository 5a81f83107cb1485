package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// supervise is what `_node` does: it is the init of a node, in the node's namespaces. It starts
// containerd, imports the first images, waits for the API server and then starts kubelet and
// kube-proxy. It returns only with an error before that; else it runs until the node is powered off.
func (n node) supervise(ctx context.Context) error {
	var programs sync.WaitGroup
	programs.Go(func() { n.keepRunning("containerd", "--config", n.file("containerd.toml")) })
	if err := waitFor(ctx, "containerd", filepath.Join(n.logs(), "containerd.log"), time.Minute, func(ctx context.Context) error {
		_, err := n.ctr(ctx, "version")
		return err
	}); err != nil {
		return err
	}
	if err := n.importFirstImages(ctx); err != nil {
		return err
	}
	if err := waitFor(ctx, "API server", n.log("kube-apiserver"), 5*time.Minute, func(context.Context) error {
		_, err := os.Stat(n.apiMark())
		return err
	}); err != nil {
		return err
	}
	programs.Go(func() {
		n.keepRunning("kubelet", "--config="+n.file("kubelet.yaml"), "--kubeconfig="+n.kubeconfig(),
			"--hostname-override="+n.hostname(), "--node-ip="+n.ip())
	})
	programs.Go(func() {
		// The connection tracking limits belong to the machine, not to a node: leave them alone.
		n.keepRunning("kube-proxy", "--kubeconfig="+n.kubeconfig(), "--hostname-override="+n.hostname(),
			"--proxy-mode=nftables", "--cluster-cidr="+podPrefix+".0.0/16", "--conntrack-max-per-core=0",
			"--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0")
	})
	programs.Wait()
	return nil
}

// keepRunning runs a program of the node for ever, anew a second after it ends.
func (n node) keepRunning(program string, args ...string) {
	for {
		if err := n.runLogged(program, args); err != nil {
			fmt.Fprintf(os.Stderr, "%s %s: %v\n", time.Now().Format(time.RFC3339), program, err)
		}
		time.Sleep(time.Second)
	}
}

// runLogged runs a program to its end and appends what it prints to its log.
func (n node) runLogged(program string, args []string) error {
	log, err := os.OpenFile(filepath.Join(n.logs(), program+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(filepath.Join(n.Bin, program), args...)
	cmd.Stdout, cmd.Stderr = log, log
	return cmd.Run()
}

// importFirstImages imports the images that `up` wrote, once in the node's life.
func (n node) importFirstImages(ctx context.Context) error {
	done := n.file("images-imported")
	if _, err := os.Stat(done); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range []string{pauseArchive, coreDNSArchive} {
		if _, err := n.importImage(ctx, n.path("images", name)); err != nil {
			return err
		}
	}
	return os.WriteFile(done, nil, 0o644)
}

// importImage imports an archive into the node's containerd and returns the names of the images that
// were in it, as displayed gives them. One of the same name is replaced.
func (n node) importImage(ctx context.Context, archive string) ([]string, error) {
	out, err := n.ctr(ctx, "images", "import", "--snapshotter", snapshotterName, archive)
	return parseImported(out), err
}

// parseImported picks the names of images out of what `ctr images import` prints: a line each, the name
// and the word "saved" with tabs behind them, between others that tell of progress.
func parseImported(out string) []string {
	var names []string
	for line := range strings.Lines(out) {
		if fields := strings.Split(line, "\t"); len(fields) > 1 && fields[1] == "saved" {
			names = append(names, strings.TrimRight(fields[0], " "))
		}
	}
	return names
}

// displayed is the full name of an image as `ctr images import` prints it: without hyphens, and not all of
// a long one.
func displayed(fullName string) string {
	const width = 40
	return fmt.Sprintf("%.*s", width, strings.ReplaceAll(fullName, "-", " "))
}
