//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// An alteration makes another node program of the same sources, by go build
// -overlay: one that dies at a named point, doesn't sync, or sees another clock.
// The product itself has no switch for any of it.
//
// An edit is bound to a line of a function rather than to a line number, so it
// keeps its place when the code around it moves. When that line goes, the test
// TestAlterationsFit fails, which builds nothing and is a part of make check.
type alteration struct {
	// name is that of the program.
	name  string
	edits []edit
	// common is Go source, without its package clause, that is added to each
	// package with an edit.
	common string

	once    sync.Once
	program string
	err     error
}

// An edit changes one line of a function, told without its indentation.
type edit struct {
	// dir is a directory of the project, or of Go's own sources when it begins
	// with "std:".
	dir, function, line string
	// before and after are put around the line; instead, unless empty, replaces it.
	before, after, instead string
}

// String tells where the edit is.
func (e edit) String() string { return fmt.Sprintf("%s: func %s: %s", e.dir, e.function, e.line) }

// sources returns the altered and added files by their path.
func (a *alteration) sources(root string) (map[string]string, error) {
	files := map[string]string{}
	for _, e := range a.edits {
		dir := filepath.Join(root, e.dir)
		if name, std := strings.CutPrefix(e.dir, "std:"); std {
			dir = filepath.Join(goRoot(), "src", name)
		}
		if err := e.apply(dir, files); err != nil {
			return nil, err
		}
		if a.common != "" {
			path := filepath.Join(dir, "zz_alteration.go")
			files[path] = "package " + filepath.Base(dir) + "\n" + a.common
		}
	}
	return files, nil
}

// apply makes the edit in the one file of dir that has its place, as files has
// it, and puts the result there.
func (e edit) apply(dir string, files map[string]string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return err
	}
	found := 0
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, edited := files[path]
		if !edited {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text = string(content)
		}
		if text, n := e.edit(text); n > 0 {
			found += n
			files[path] = text
		}
	}
	if found != 1 {
		return fmt.Errorf("%v: found %d times, not once: look for where the edit belongs now, and say so in its list", e, found)
	}
	return nil
}

// edit returns the text with the edit, and how many places it found.
func (e edit) edit(text string) (string, int) {
	lines := strings.Split(text, "\n")
	inside, found := false, 0
	for i, line := range lines {
		if strings.HasPrefix(line, "func ") {
			inside = strings.Contains(line, " "+e.function+"(") || strings.Contains(line, ") "+e.function+"(")
		}
		if !inside || !strings.HasSuffix(line, "\t"+e.line) { // Another edit may stand before it.
			continue
		}
		found++
		if e.instead != "" {
			line = e.instead
		}
		// Everything stays on one line, so the numbers in a stack are true.
		lines[i] = e.before + line + e.after
	}
	return strings.Join(lines, "\n"), found
}

func TestAlterationsFit(t *testing.T) {
	root, err := projectRoot()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []*alteration{mortalNode, forgetfulNode, slowNode, steppedNode, patientNode} {
		if _, err := a.sources(root); err != nil {
			t.Errorf("%s: %v", a.name, err)
		}
	}
}

func TestAnAlterationIsMadeInOnePlaceOfOneFunction(t *testing.T) {
	const source = "func (l *Log) a() {\n\tdo()\n}\n\nfunc b() {\n\tdo()\n\tonce()\n\tdo()\n}\n"
	for name, c := range map[string]struct {
		e    edit
		n    int
		want string
	}{
		"before":     {edit{function: "a", line: "do()", before: "x();"}, 1, "{\nx();\tdo()\n}"},
		"instead":    {edit{function: "b", line: "once()", instead: "never()", after: ";y()"}, 1, "\nnever();y()\n"},
		"twice":      {edit{function: "b", line: "do()"}, 2, ""},
		"no such":    {edit{function: "a", line: "once()"}, 0, ""},
		"part of it": {edit{function: "a", line: "do("}, 0, ""},
	} {
		text, n := c.e.edit(source)
		if n != c.n || !strings.Contains(text, c.want) {
			t.Errorf("%s: %d places, and %q", name, n, text)
		}
	}
}

// goRoot returns where Go's own sources are.
var goRoot = sync.OnceValue(func() string {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		panic(err) // These tests build programs, so there is a go command.
	}
	return strings.TrimSpace(string(out))
})
