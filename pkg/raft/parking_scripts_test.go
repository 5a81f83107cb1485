package raft_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft/rafttest"
)

// TestParkingStories replays what happens to members whose states differ. Each file is
// meant to be read; go test -run TestParkingStories -rewrite writes them anew.
func TestParkingStories(t *testing.T) {
	files, err := filepath.Glob("testdata/parking/*.txt")
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
