package raft_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft/rafttest"
)

const (
	catalogueScripts = "testdata/catalogue/*.txt"
	// catalogueSize is how many scenarios there are; several share a number.
	catalogueSize = 70
)

// TestCatalogue replays what has gone wrong in other implementations, one story a
// file, and what this one does there. go test -run TestCatalogue -rewrite writes
// the transcripts anew; what a story expects is never rewritten.
func TestCatalogue(t *testing.T) {
	files, err := filepath.Glob(catalogueScripts)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) { rafttest.RunScript(t, file) })
	}
}

// TestCatalogueIsComplete wants a script for every number, or a line that says where
// else the scenario is shown. What such a line names must exist.
func TestCatalogueIsComplete(t *testing.T) {
	known := map[int]bool{}
	scripts, err := filepath.Glob(catalogueScripts)
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range scripts {
		number, _, _ := strings.Cut(filepath.Base(script), "-")
		known[scenario(t, number)] = true
	}
	list, err := os.ReadFile("testdata/catalogue/ELSEWHERE.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| (\d\d) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$`)
	for _, fields := range row.FindAllStringSubmatch(string(list), -1) {
		known[scenario(t, fields[1])] = true
		if err := shown(fields[3], fields[4]); err != nil {
			t.Errorf("scenario %s, %s: %v", fields[1], fields[2], err)
		}
	}
	for number := 1; number <= catalogueSize; number++ {
		if !known[number] {
			t.Errorf("scenario %d has neither a script nor a line that says where it is shown", number)
		}
	}
}

func scenario(t *testing.T, text string) int {
	t.Helper()
	number, err := strconv.Atoi(text)
	if err != nil || number < 1 || number > catalogueSize {
		t.Fatalf("%q is no scenario", text)
	}
	return number
}

// shown wants a test of that name in a package, or a script of that name in a
// folder.
func shown(dir, name string) error {
	if dir == "-" && name == "-" {
		return nil
	}
	dir = filepath.Join("../..", dir)
	if !strings.HasPrefix(name, "Test") {
		_, err := os.Stat(filepath.Join(dir, name))
		return err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return err
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if strings.Contains(string(source), "\nfunc "+name+"(") {
			return nil
		}
	}
	return fmt.Errorf("%s has no test %s", dir, name)
}
