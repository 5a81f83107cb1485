package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestArchitecturePageNamesOnlyWhatExists keeps the map true: whoever moves a file
// that the page sends readers to learns of it here.
func TestArchitecturePageNamesOnlyWhatExists(t *testing.T) {
	const page = "docs/ARCHITECTURE.md"
	text, err := os.ReadFile(filepath.Join("..", "..", page))
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`((?:api|cmd|config|internal|pkg|test)/[a-zA-Z0-9_./-]+)`")
	named := 0
	for i, line := range strings.Split(string(text), "\n") {
		for _, match := range quoted.FindAllStringSubmatch(line, -1) {
			named++
			if _, err := os.Stat(filepath.Join("..", "..", match[1])); err != nil {
				t.Errorf("%s:%d: there is no %s", page, i+1, match[1])
			}
		}
	}
	if named < 20 {
		t.Errorf("%s names %d places: has its way of naming them changed?", page, named)
	}
}
