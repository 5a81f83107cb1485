package arch

import (
	"fmt"
	"slices"
	"strings"
)

// A Law maps each package, by its folder relative to the module's root, to its
// rule.
type Law map[string]Rule

// A Rule says what one package may import in what it ships; tests are free.
//
// Patterns are import paths. A trailing /... also takes in everything below, ./
// stands for the module's root, "std" for the whole standard library and
// "elsewhere" for every other module.
type Rule struct {
	// May lists what is allowed.
	May []string
	// Never lists what is kept out for a reason that deserves to be told. A
	// ban wins over May.
	Never []Ban
}

// A Ban keeps some imports out, and says why.
type Ban struct {
	Imports []string
	Reason  string
}

// A Violation is one place where the source breaks a law.
type Violation struct {
	// Pos is where, as file:line, or a folder when the thing is missing.
	Pos string
	// Text says what is wrong and what to do about it.
	Text string
}

// String returns the violation as one line.
func (v Violation) String() string { return v.Pos + ": " + v.Text }

// CheckImports holds the direct imports of every package against the law.
func CheckImports(t *Tree, law Law) []Violation {
	var found []Violation
	for _, dir := range t.Packages() {
		rule, ok := law[dir]
		if !ok {
			found = append(found, Violation{dir, "the import law has no row for this package: " +
				"add one to test/arch/law.go that says what it may import and what it never may"})
			continue
		}
		for _, imported := range t.Imports(dir) {
			if text := rule.objection(imported.Path); text != "" {
				found = append(found, Violation{imported.Pos, dir + " " + text})
			}
		}
	}
	return found
}

// objection says what is wrong with an import, or nothing when it is allowed.
func (r Rule) objection(imported string) string {
	for _, ban := range r.Never {
		if matchesAny(ban.Imports, imported) {
			return fmt.Sprintf("must never import %s: %s", imported, ban.Reason)
		}
	}
	if matchesAny(r.May, imported) {
		return ""
	}
	return fmt.Sprintf("may not import %s: its row in test/arch/law.go doesn't list it", imported)
}

// matchesAny reports whether one of the patterns takes in the import.
func matchesAny(patterns []string, imported string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, imported) })
}

// matches reports whether the pattern takes in the import.
func matches(pattern, imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	own, dotted := first == ".", strings.Contains(first, ".")
	switch pattern {
	case "std":
		return !dotted
	case "elsewhere":
		return dotted && !own
	}
	parent, deep := strings.CutSuffix(pattern, "/...")
	return imported == parent || deep && strings.HasPrefix(imported, parent+"/")
}
