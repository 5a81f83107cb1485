package arch

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// smallLaw is the law of the trees in testdata.
var smallLaw = Law{
	"algorithm": {
		May:   []string{"errors", "math/..."},
		Never: []Ban{{[]string{"time"}, "it has no clock"}, {[]string{"./..."}, "it stands alone"}},
	},
	"store": {
		May:   []string{"std", "./algorithm"},
		Never: []Ban{{[]string{"example.org/disk/..."}, "it lives in memory"}, {[]string{"net/..."}, "it knows no network"}},
	},
	"program": {May: []string{"std", "./algorithm", "./store", "example.org/kit"}},
}

var smallReach = []Reach{
	{"program", []Ban{{[]string{"example.org/disk/..."}, "it must run without a disk"}}},
	{"algorithm", []Ban{{[]string{"elsewhere", "./..."}, "it stands alone"}}},
	{"absent", []Ban{{[]string{"std"}, "nobody wrote it yet"}}},
}

// plant writes the tree of a testdata file into a folder and returns it, with
// the violations that the file's section "want" announces.
func plant(t *testing.T, name string) (tree *Tree, want []string) {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, f := range archive.Files {
		if f.Name == "want" {
			want = strings.Split(strings.TrimSpace(string(f.Data)), "\n")
			continue
		}
		write(t, filepath.Join(root, f.Name), string(f.Data))
	}
	if tree, err = Load(root); err != nil {
		t.Fatal(err)
	}
	return tree, want
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// expect compares all that was found with all that was announced.
func expect(t *testing.T, found []Violation, want []string) {
	t.Helper()
	var got []string
	for _, v := range found {
		got = append(got, v.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("found:\n\t%s\nwant:\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestImportsOutsideTheLawAreFound(t *testing.T) {
	tree, want := plant(t, "imports.txtar")
	expect(t, CheckImports(tree, smallLaw), want)
}

func TestTheWayToABannedPackageIsFound(t *testing.T) {
	tree, want := plant(t, "reach.txtar")
	found, err := CheckReach(tree, smallReach)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, found, want)
}

func TestMissingDocsAndShapelessNamesAreFound(t *testing.T) {
	tree, want := plant(t, "layout.txtar")
	expect(t, CheckLayout(tree), want)
}

// TestOneLineTooManyIsFound checks both sides of each limit of the size law, in
// the module, in its tests and in a nested module.
func TestOneLineTooManyIsFound(t *testing.T) {
	function := func(head string, lines int) string {
		return "package p\n\n// Its comment does not count.\n" + head + " {\n" + strings.Repeat("\t_ = 1\n", lines-2) + "}\n"
	}
	file := func(lines int) string { return "package p\n" + strings.Repeat("\n", lines-1) }

	root := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":             "module example.org/m\n",
		"nested/go.mod":      "module example.org/m/nested\n",
		"a/fits.go":          function("func f()", 70),
		"a/long.go":          function("func f()", 71),
		"a/long_test.go":     function("func f()", 71),
		"a/zz_generated.go":  function("func f()", 71) + strings.Repeat("\n", 500),
		"a/testdata/x.go":    function("func f()", 71),
		"b/fits.go":          file(500),
		"b/unended.go":       file(500) + "// the last line has no newline",
		"nested/deep/big.go": file(501),
		"nested/literal.go":  function("var g = func()", 71),
	} {
		write(t, filepath.Join(root, name), content)
	}
	tree, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, CheckSizes(tree), []string{
		"a/long.go:4: f has 71 lines and may have 70: split it by thought",
		"a/long_test.go:4: f has 71 lines and may have 70: split it by thought",
		"b/unended.go:501: the file has 501 lines and may have 500: split it by noun",
		"nested/deep/big.go:501: the file has 501 lines and may have 500: split it by noun",
		"nested/literal.go:4: a function literal has 71 lines and may have 70: split it by thought",
	})
}

func TestSourceThatDoesNotParseIsAnErrorWithItsLine(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "go.mod"), "module example.org/m\n")
	write(t, filepath.Join(root, "p", "p.go"), "package p\n\nfunc {\n")
	_, err := Load(root)
	if err == nil || !strings.Contains(err.Error(), "p/p.go:3:") {
		t.Errorf("Load = %v, want an error that names p/p.go:3", err)
	}
}

func TestPatternsTakeInWhatTheySay(t *testing.T) {
	for _, c := range []struct {
		pattern, imported string
		want              bool
	}{
		{"net/...", "net", true},
		{"net/...", "net/http", true},
		{"net/...", "network", false},
		{"net", "net/http", false},
		{"std", "crypto/tls", true},
		{"std", "example.org/tls", false},
		{"std", "./pkg/raft", false},
		{"elsewhere", "example.org/tls", true},
		{"elsewhere", "./pkg/raft", false},
		{"elsewhere", "net", false},
		{"./...", "./pkg/raft", true},
		{"./...", ".", true},
		{"./pkg/raft", "./pkg/raft/wire", false},
		{"./pkg/raft/...", "./pkg/raftlike", false},
	} {
		t.Run(fmt.Sprintf("%s takes in %s", c.pattern, c.imported), func(t *testing.T) {
			if got := matches(c.pattern, c.imported); got != c.want {
				t.Errorf("matches = %v, want %v", got, c.want)
			}
		})
	}
}
