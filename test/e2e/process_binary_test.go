//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// nodeEnv names a node program to test in place of the one that is built here,
// and alteredEnv a directory of altered ones that were built already.
const (
	nodeEnv    = "CONCLAVE_NODE"
	alteredEnv = "CONCLAVE_ALTERED_NODES"
)

// nodeBinary returns the path of the node program, built once per run.
func nodeBinary(t testing.TB) string {
	t.Helper()
	path, err := builtNode()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var builtNode = sync.OnceValues(func() (string, error) {
	if path := os.Getenv(nodeEnv); path != "" {
		return filepath.Abs(path)
	}
	return buildNode("node", nil)
})

// projectRoot returns the directory of go.mod.
func projectRoot() (string, error) { return filepath.Abs("../..") }

// buildNode builds a node program under a name. With an alteration, its sources
// are seen as that wants them; the files themselves stay as they are.
func buildNode(name string, a *alteration) (string, error) {
	root, err := projectRoot()
	if err != nil {
		return "", err
	}
	if err := lookAtSources(root); err != nil {
		return "", err
	}
	program := filepath.Join(workDir, name)
	args := []string{"build", "-o", program}
	if a != nil {
		overlay, err := a.write(root, program+"-sources")
		if err != nil {
			return "", err
		}
		args = append(args, "-overlay", overlay)
	}
	build := exec.Command("go", append(args, "./cmd/node")...)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/node as %s: %w\n%s", name, err, out)
	}
	return program, nil
}

// lookAtSources reads the folders that the node is built from. The go command
// keeps the results of tests as long as the files are unchanged that they looked
// at, and can't see what the build in here looks at.
func lookAtSources(root string) error {
	for _, dir := range []string{"cmd/node", "internal", "pkg"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(_ string, _ fs.DirEntry, err error) error { return err })
		if err != nil {
			return err
		}
	}
	return nil
}

// alteredNode returns the path of a node program with an alteration, built once
// per run.
func alteredNode(t testing.TB, a *alteration) string {
	t.Helper()
	a.once.Do(func() {
		if dir := os.Getenv(alteredEnv); dir != "" {
			a.program = filepath.Join(dir, a.name)
			return
		}
		a.program, a.err = buildNode(a.name, a)
	})
	if a.err != nil {
		t.Fatal(a.err)
	}
	return a.program
}

// write writes the altered sources into a directory and returns the file that
// tells the go command of them.
func (a *alteration) write(root, dir string) (string, error) {
	files, err := a.sources(root)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	replace := map[string]string{}
	for path, text := range files {
		replace[path] = filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(replace[path], []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, list, 0o600)
}
