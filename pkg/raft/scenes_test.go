package raft_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft/rafttest"
)

// TestScenes replays the twenty-five scenes of the Raft story. Each file is
// meant to be read; go test -run TestScenes -rewrite writes them anew.
func TestScenes(t *testing.T) {
	files, err := filepath.Glob("testdata/scenes/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 25 {
		t.Fatalf("there are %d scenes, want 25", len(files))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) { rafttest.RunScript(t, file) })
	}
}
