package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"
)

// A Tree is the source of one module, parsed. Nothing in it depends on build
// constraints or on whether the source compiles.
type Tree struct {
	// Root is the module's directory, Module its path as go.mod gives it.
	Root   string
	Module string
	// Files holds every Go file below Root, nested modules included, in the
	// order of their paths.
	Files []*File

	fset *token.FileSet
}

// A File is one Go file of a Tree.
type File struct {
	// Path is slash-separated and relative to the tree's root, Dir its folder;
	// the root folder itself is ".".
	Path string
	Dir  string
	// Package is the name in the package clause.
	Package string
	// Lines counts the lines of the file.
	Lines int
	// Nested is set below a go.mod other than the root's.
	Nested bool

	syntax *ast.File
}

// Test reports whether the file is compiled into tests only.
func (f *File) Test() bool { return strings.HasSuffix(f.Path, "_test.go") }

// Generated reports whether the file's name says that a program wrote it.
func (f *File) Generated() bool { return strings.HasPrefix(path.Base(f.Path), "zz_generated") }

// An Import is one import of a package outside its tests.
type Import struct {
	// Path is the import path; a package of the module itself is written
	// relative to its root, as ./pkg/raft.
	Path string
	// Pos is the file and line of the import, as file:line.
	Pos string
}

// Load reads the module in root. Folders that the go command would not look into
// (testdata, vendor, names that start with a dot or an underscore) are left
// out. A file that does not parse is an error that names its line.
func Load(root string) (*Tree, error) {
	gomod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return nil, fmt.Errorf("find the module: %w", err)
	}
	t := &Tree{Root: root, Module: modfile.ModulePath(gomod), fset: token.NewFileSet()}
	if t.Module == "" {
		return nil, fmt.Errorf("%s: no module line", filepath.Join(root, "go.mod"))
	}
	if err := t.walk("."); err != nil {
		return nil, err
	}
	return t, nil
}

// walk reads the folder dir and everything below it.
func (t *Tree) walk(dir string) error {
	nested := make(map[string]bool) // folders that are inside a nested module
	return fs.WalkDir(os.DirFS(t.Root), dir, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && hidden(name):
			return fs.SkipDir
		case entry.IsDir():
			_, err := os.Stat(filepath.Join(t.Root, filepath.FromSlash(name), "go.mod"))
			nested[name] = name != "." && (err == nil || nested[path.Dir(name)])
			return nil
		case path.Ext(name) != ".go" || hidden(name):
			return nil
		}
		file, err := t.parse(name)
		if err != nil {
			return err
		}
		file.Nested = nested[file.Dir]
		t.Files = append(t.Files, file)
		return nil
	})
}

// hidden reports whether the go command ignores a file or folder of this name.
func hidden(name string) bool {
	base := path.Base(name)
	if base == "." {
		return false
	}
	return base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")
}

// parse reads one file.
func (t *Tree) parse(name string) (*File, error) {
	source, err := os.ReadFile(filepath.Join(t.Root, filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	syntax, err := parser.ParseFile(t.fset, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	lines := bytes.Count(source, []byte("\n"))
	if len(source) > 0 && source[len(source)-1] != '\n' {
		lines++
	}
	return &File{
		Path:    name,
		Dir:     path.Dir(name),
		Package: syntax.Name.Name,
		Lines:   lines,
		syntax:  syntax,
	}, nil
}

// Packages returns the folders of the module itself that hold a package, tests
// only included, in order.
func (t *Tree) Packages() []string {
	var dirs []string
	for _, f := range t.Files {
		if !f.Nested {
			dirs = append(dirs, f.Dir)
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// Imports returns what the package in dir imports outside its tests, in the
// order of files and lines.
func (t *Tree) Imports(dir string) []Import {
	var imports []Import
	for _, f := range t.Files {
		if f.Dir != dir || f.Test() {
			continue
		}
		for _, spec := range f.syntax.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue // the parser accepts only string literals here
			}
			imports = append(imports, Import{Path: t.relative(imported), Pos: t.position(spec)})
		}
	}
	return imports
}

// relative rewrites the import path of one of the module's own packages to the
// form that the law uses, ./pkg/raft, and leaves every other path alone.
func (t *Tree) relative(imported string) string {
	if rest, ok := strings.CutPrefix(imported, t.Module); ok && (rest == "" || rest[0] == '/') {
		return "." + rest
	}
	return imported
}

// position returns where node starts, as file:line.
func (t *Tree) position(node ast.Node) string {
	p := t.fset.Position(node.Pos())
	return p.Filename + ":" + strconv.Itoa(p.Line)
}
