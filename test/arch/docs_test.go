package arch

import (
	"go/ast"
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

// pages returns the pages for people, with their text.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		paths, err := filepath.Glob(filepath.Join("..", "..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			found[path] = string(text)
		}
	}
	return found
}

// TestEveryTestThatAPageNamesExists keeps true what a page says is shown by a test.
func TestEveryTestThatAPageNamesExists(t *testing.T) {
	exist := map[string]bool{}
	for _, f := range load(t).Files {
		for _, declared := range f.syntax.Decls {
			if function, ok := declared.(*ast.FuncDecl); ok {
				exist[function.Name.Name] = true
			}
		}
	}
	named := 0
	for path, text := range pages(t) {
		for _, match := range regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9]*)`").FindAllStringSubmatch(text, -1) {
			if named++; !exist[match[1]] {
				t.Errorf("%s: there is no test %s", path, match[1])
			}
		}
	}
	if named < 20 {
		t.Errorf("the pages name %d tests: has their way of naming them changed?", named)
	}
}

// TestEveryLinkBetweenPagesLeadsSomewhere looks at links to files of the project.
func TestEveryLinkBetweenPagesLeadsSomewhere(t *testing.T) {
	followed := 0
	code := regexp.MustCompile("`[^`\n]*`") // a pattern may look like a link
	for path, text := range pages(t) {
		text = code.ReplaceAllString(text, "``")
		for _, match := range regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`).FindAllStringSubmatch(text, -1) {
			followed++
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), match[1])); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", path, match[1])
			}
		}
	}
	if followed < 20 {
		t.Errorf("the pages have %d links: has their way of writing them changed?", followed)
	}
}
