package mutants

import (
	"context"
	"flag"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const root = "../../.."

var (
	hunt  = flag.Bool("hunt", false, "hunt for the bugs; it takes long")
	only  = flag.String("only", "", "with -hunt: these numbers, with commas between")
	seeds = flag.Int("seeds", 0, "with -hunt: another budget than README.md's")
	into  = flag.String("into", "", "with -hunt: the file to write the table into")
)

func list(t *testing.T) ([]Bug, int) {
	t.Helper()
	bugs, budget, err := List(".")
	if err != nil {
		t.Fatal(err)
	}
	return bugs, budget
}

// TestEveryPatchIsListed wants a row for each patch, numbers without a gap, and the
// files that a patch changes in its row.
func TestEveryPatchIsListed(t *testing.T) {
	bugs, budget := list(t)
	if len(bugs) < 24 || budget < 1000 {
		t.Errorf("%d bugs and %d seeds are too few", len(bugs), budget)
	}
	var want []string
	for _, bug := range bugs {
		want = append(want, bug.Number+"-"+bug.Name+".patch")
		if got := bug.patch.paths(); !slices.Equal(got, bug.Files) {
			t.Errorf("%s changes %v, its row says %v", bug.Name, got, bug.Files)
		}
	}
	got, err := filepath.Glob("*.patch")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("patches %v\nrows    %v", got, want)
	}
}

// TestEveryPatchFitsAndCompiles type-checks what each patch makes of its packages.
func TestEveryPatchFitsAndCompiles(t *testing.T) {
	bugs, _ := list(t)
	compiled := compiledPackages(t)
	for _, bug := range bugs {
		changed, err := bug.patch.apply(root)
		if err != nil {
			t.Errorf("%s doesn't fit any more: %v", bug.Name, err)
			continue
		}
		for _, dir := range directories(changed) {
			if err := typeCheck(dir, changed, compiled); err != nil {
				t.Errorf("%s doesn't compile: %v", bug.Name, err)
			}
		}
	}
}

// compiledPackages returns where the go command keeps the compiled packages that
// those with bugs import, by import path.
func compiledPackages(t *testing.T) map[string]string {
	t.Helper()
	out, err := command(t.Context(), root, "go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}",
		"./pkg/raft/replica", "./pkg/config")
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		files[name] = file
	}
	return files
}

// directories returns the packages of changed files, in order.
func directories(changed map[string]string) []string {
	var dirs []string
	for file := range changed {
		dirs = append(dirs, path.Dir(file))
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// typeCheck checks the package in dir with the changed files in place of its own.
func typeCheck(dir string, changed, compiled map[string]string) error {
	names, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		return err
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		var source any
		if text, ok := changed[path.Join(dir, filepath.Base(name))]; ok {
			source = text
		}
		file, err := parser.ParseFile(fset, name, source, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, file)
	}
	open := func(name string) (io.ReadCloser, error) { return os.Open(compiled[name]) }
	config := types.Config{Importer: importer.ForCompiler(fset, "gc", open)}
	_, err = config.Check(dir, fset, files, nil)
	return err
}

// TestHunt plays the simulator without a bug, which must pass the whole budget, and
// then with every bug, and wants each caught within it. make sim-mutants runs it.
func TestHunt(t *testing.T) {
	if !*hunt {
		t.Skip("it takes long: make sim-mutants")
	}
	bugs, budget := list(t)
	if *seeds > 0 {
		budget = *seeds
	}
	module, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	control, err := Hunt(context.Background(), module, t.TempDir(), Bug{Name: "no bug"}, budget)
	if err != nil {
		t.Fatal(err)
	}
	if control.Seed != 0 {
		t.Fatalf("seed %d fails without any bug, so it proves nothing: %s", control.Seed, control.Oracle)
	}
	t.Logf("without a bug: %d seeds pass, %v", budget, control.Took.Round(time.Second))
	var catches []Catch
	for _, bug := range bugs {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), bug.Number) {
			continue
		}
		catch, err := Hunt(context.Background(), module, t.TempDir(), bug, budget)
		if err != nil {
			t.Error(err)
			continue
		}
		t.Logf("%s %-28s seed %4d, %v: %s", bug.Number, bug.Name, catch.Seed, catch.Took.Round(time.Second), cell(catch.Oracle))
		if catch.Seed == 0 {
			t.Errorf("%s was not caught within %d seeds", bug.Name, budget)
		}
		catches = append(catches, catch)
	}
	table := Table(catches, budget)
	t.Log("\n" + table)
	if *into != "" {
		if err := os.WriteFile(*into, []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
