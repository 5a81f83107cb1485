package arch

import (
	"fmt"
	"go/ast"
	"strconv"
)

// The size law. A function that passes its limit holds more than one thought, a
// file that passes it more than one noun; both are split by meaning, and at
// about 400 lines a file is due.
const (
	functionLinesMax = 70
	fileLinesMax     = 500
)

// CheckSizes counts the lines of every function and file, nested modules and
// tests included. A function counts from its first line to its closing brace,
// without its doc comment.
func CheckSizes(t *Tree) []Violation {
	var found []Violation
	for _, f := range t.Files {
		if f.Generated() {
			continue
		}
		if f.Lines > fileLinesMax {
			found = append(found, Violation{f.Path + ":" + strconv.Itoa(fileLinesMax+1), fmt.Sprintf(
				"the file has %d lines and may have %d: split it by noun", f.Lines, fileLinesMax)})
		}
		found = append(found, t.longFunctions(f)...)
	}
	return found
}

// longFunctions reports the functions of one file that pass the limit, function
// literals included.
func (t *Tree) longFunctions(f *File) []Violation {
	var found []Violation
	ast.Inspect(f.syntax, func(node ast.Node) bool {
		name := "a function literal"
		switch node := node.(type) {
		case *ast.FuncDecl:
			name = node.Name.Name
		case *ast.FuncLit:
		default:
			return true
		}
		first, last := t.fset.Position(node.Pos()).Line, t.fset.Position(node.End()).Line
		if lines := last - first + 1; lines > functionLinesMax {
			found = append(found, Violation{f.Path + ":" + strconv.Itoa(first), fmt.Sprintf(
				"%s has %d lines and may have %d: split it by thought", name, lines, functionLinesMax)})
			return false // the literals inside are part of the same complaint
		}
		return true
	})
	return found
}
