//go:build linux

package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// nodeEnv names a node program to test in place of the one that is built here.
const nodeEnv = "CONCLAVE_NODE"

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
	root, err := filepath.Abs("../..")
	if err != nil {
		return "", err
	}
	if err := lookAtSources(root); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "conclave-e2e-")
	if err != nil {
		return "", err
	}
	buildDir = dir
	build := exec.Command("go", "build", "-o", dir, "./cmd/node")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/node: %w\n%s", err, out)
	}
	return filepath.Join(dir, "node"), nil
})

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
