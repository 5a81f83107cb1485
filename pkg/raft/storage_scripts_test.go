package raft_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft/rafttest"
)

// TestStorageStories replays what happens to members whose disks lose their log,
// fill up or hang. Each file is meant to be read; go test -run TestStorageStories
// -rewrite writes them anew.
func TestStorageStories(t *testing.T) {
	files, err := filepath.Glob("testdata/storage/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("there are no stories")
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) { rafttest.RunScript(t, file) })
	}
}
