package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Flags of every build. They are part of the key of Go's build cache, so changing one of them compiles
// Kubernetes anew. Debug data and profiles are left out because they make a first build much longer.
const (
	goFlags     = "-mod=readonly -trimpath -buildvcs=false -pgo=off"
	gcFlags     = "all=-dwarf=false"
	baseLdflags = "-s -w "
)

// buildLimit bounds the build of one component; the largest takes about ten minutes on two slow cores.
const buildLimit = time.Hour

// cache is the directory that built programs are kept in.
type cache struct{ dir string }

// findCache returns the cache: $CONCLAVE_KUBE_CACHE, or conclave-kube in the user's cache directory.
func findCache() (cache, error) {
	if dir := os.Getenv("CONCLAVE_KUBE_CACHE"); dir != "" {
		dir, err := filepath.Abs(dir)
		return cache{dir}, err
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return cache{}, fmt.Errorf("%w; set CONCLAVE_KUBE_CACHE to a directory for built programs", err)
	}
	return cache{filepath.Join(dir, "conclave-kube")}, nil
}

// bin is the directory of the programs. It holds etcd, kube-apiserver and kubectl side by side, which is
// what controller-runtime's envtest wants in KUBEBUILDER_ASSETS.
func (c cache) bin() string { return filepath.Join(c.dir, "bin") }

// stamp is the file that says from what a component was built.
func (c cache) stamp(of component) string { return filepath.Join(c.dir, "stamps", of.name) }

// findComponents returns the folder of the component modules: from where the tool is called or from a
// folder above, since the tool is usually started somewhere in its own repository.
func findComponents() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for from := dir; ; from = filepath.Dir(from) {
		for _, folder := range []string{"components", "test/kube/components"} {
			found := filepath.Join(from, folder)
			if _, err := os.Stat(filepath.Join(found, "hyperkube", "go.mod")); err == nil {
				return found, nil
			}
		}
		if from == filepath.Dir(from) {
			return "", fmt.Errorf("test/kube/components is neither in %s nor above: call the tool inside of its repository", dir)
		}
	}
}

// build builds those of the components that are missing or older than their sources. Two builds of one
// cache wait for each other.
func (c cache) build(ctx context.Context, wanted []component) error {
	for _, folder := range []string{"bin/cni", "stamps"} {
		if err := os.MkdirAll(filepath.Join(c.dir, folder), 0o755); err != nil {
			return err
		}
	}
	sources, err := findComponents()
	if err != nil {
		return err
	}
	unlock, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	toolchain, err := exec.CommandContext(ctx, "go", "version").Output()
	if err != nil {
		return fmt.Errorf("go version: %w (sudo drops Go from the PATH: sudo env PATH=\"$PATH\" ...)", err)
	}
	for _, component := range wanted {
		folder := filepath.Join(sources, component.folder)
		sum, err := component.fingerprint(folder, string(toolchain))
		if err != nil {
			return err
		}
		if old, err := os.ReadFile(c.stamp(component)); err == nil && string(old) == sum {
			continue
		}
		started := time.Now()
		fmt.Fprintf(os.Stderr, "building %s (minutes, if Go's build cache is empty)\n", component.name)
		if err := c.buildOne(ctx, component, folder, sum); err != nil {
			return fmt.Errorf("build %s: %w", component.name, err)
		}
		fmt.Fprintf(os.Stderr, "built %s in %.0f s\n", component.name, time.Since(started).Seconds())
	}
	return nil
}

func (c cache) buildOne(ctx context.Context, component component, folder, sum string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, buildLimit, fmt.Errorf("not within %v", buildLimit))
	defer cancel()
	if err := os.Remove(c.stamp(component)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, program := range component.programs {
		// At a low priority, since it takes all processors for a long time.
		cmd := exec.CommandContext(ctx, "nice", "-n", "10", "go", "build", "-gcflags="+gcFlags,
			"-ldflags="+baseLdflags+component.ldflags, "-o", filepath.Join(c.bin(), program.file), program.pkg)
		cmd.Dir = folder
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS="+goFlags, "GOTOOLCHAIN=local", "GOWORK=off")
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // go ends its compilers
		cmd.WaitDelay = 10 * time.Second
		if err := cmd.Run(); err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return err
		}
	}
	for _, link := range component.links {
		if err := replaceLink(component.programs[0].file, filepath.Join(c.bin(), link)); err != nil {
			return err
		}
	}
	return os.WriteFile(c.stamp(component), []byte(sum), 0o644)
}

// replaceLink makes a symbolic link, in place of what has its name.
func replaceLink(target, link string) error {
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(target, link)
}

// fingerprint sums up everything that a component is built from: sources, pinned versions, flags and
// the Go version.
func (c component) fingerprint(folder, toolchain string) (string, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n%s\n%s\n%v\n", toolchain, goFlags, gcFlags, baseLdflags+c.ldflags, c)
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		fmt.Fprintf(sum, "file %s\n", strings.TrimPrefix(path, folder))
		_, err = io.Copy(sum, file)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil)), err
}

// lock makes sure that one build at a time writes into the cache. The lock ends with the process.
func (c cache) lock(ctx context.Context) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(c.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	unlock = func() { _ = file.Close() }
	err = waitFor(ctx, "another build into this cache", file.Name(), 2*time.Hour, func(context.Context) error {
		return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	})
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}
