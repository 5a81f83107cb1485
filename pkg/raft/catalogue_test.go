package raft_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft/rafttest"
)

// TestCatalogue replays what has gone wrong in other implementations, one story a
// file, and what this one does there. go test -run TestCatalogue -rewrite writes
// the transcripts anew; what a story expects is never rewritten.
func TestCatalogue(t *testing.T) {
	files, err := filepath.Glob("testdata/catalogue/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) { rafttest.RunScript(t, file) })
	}
}
