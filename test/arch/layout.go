package arch

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// shapeless lists names that say nothing about what is inside, so that anything
// may end up there.
var shapeless = []string{
	"base", "common", "constants", "helper", "helpers", "interfaces", "lib", "misc", "mock", "mocks",
	"shared", "types", "util", "utils",
}

// CheckLayout wants a doc.go with a package comment in every package, and a name
// that tells what the package is.
func CheckLayout(t *Tree) []Violation {
	var found []Violation
	for _, dir := range t.Packages() {
		if base := path.Base(dir); slices.Contains(shapeless, base) {
			found = append(found, Violation{dir, fmt.Sprintf(
				"%q says nothing about what is inside: name the package after what it provides", base)})
		}
		found = append(found, checkDoc(t, dir)...)
	}
	return found
}

// checkDoc wants the package comment of dir in doc.go, and only there.
func checkDoc(t *Tree, dir string) []Violation {
	var found []Violation
	documented := false
	for _, f := range t.Files {
		switch {
		case f.Dir != dir || f.syntax.Doc == nil || strings.TrimSpace(f.syntax.Doc.Text()) == "":
		case path.Base(f.Path) == "doc.go":
			documented = true
		case !f.Generated():
			found = append(found, Violation{t.position(f.syntax), "a package comment belongs in doc.go alone"})
		}
	}
	if !documented {
		found = append(found, Violation{dir, "no doc.go with a package comment: " +
			"say there what the package is, what it promises, what it never does and who calls it"})
	}
	return found
}
