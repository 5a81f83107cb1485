package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSelectComponents(t *testing.T) {
	names := func(of []component) (names []string) {
		for _, c := range of {
			names = append(names, c.name)
		}
		return names
	}
	for _, test := range []struct{ ask, want []string }{
		{nil, componentNames()[1:]},
		{[]string{"helm", "pause"}, []string{"pause", "helm"}},
		{[]string{"envtest"}, []string{"etcd", "hyperkube", "kubectl"}},
		{[]string{"envtest", "etcd"}, []string{"etcd", "hyperkube", "kubectl"}},
	} {
		got, err := selectComponents(test.ask)
		if err != nil || !slices.Equal(names(got), test.want) {
			t.Errorf("%v: %v, %v; want %v", test.ask, names(got), err, test.want)
		}
	}
	if _, err := selectComponents([]string{"kernel"}); err == nil {
		t.Error("an unknown component is accepted")
	}
}

// Every component has a module beside this program, and every module is some component's.
func TestComponentsHaveModules(t *testing.T) {
	modules, err := filepath.Glob("components/*/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	var used []string
	for _, c := range components() {
		used = append(used, filepath.Join("components", c.folder, "go.mod"))
	}
	slices.Sort(used)
	if used = slices.Compact(used); !slices.Equal(used, modules) {
		t.Errorf("components use %v, there are %v", used, modules)
	}
}

func TestFingerprintChangesWithWhatIsBuilt(t *testing.T) {
	folder := t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module m")
	made := component{name: "m", programs: []program{{"m", "."}}}
	seen := map[string]string{}
	check := func(what string, c component, toolchain string) {
		sum, err := c.fingerprint(folder, toolchain)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := c.fingerprint(folder, toolchain); again != sum {
			t.Errorf("%s: two fingerprints of the same", what)
		}
		if before, ok := seen[sum]; ok {
			t.Errorf("%s has the fingerprint of %s", what, before)
		}
		seen[sum] = what
	}
	check("the first", made, "go1")
	check("another Go", made, "go2")
	made.ldflags = "-X a=b"
	check("other flags", made, "go2")
	made.programs = append(made.programs, program{"n", "./n"})
	check("another program", made, "go2")
	write("go.mod", "module n")
	check("another version", made, "go2")
	write("go.sum", "")
	check("another file", made, "go2")
}

func TestPrintEnvQuotesForTheShell(t *testing.T) {
	env := map[string]string{"A": "it's", "B": "plain"}
	var out strings.Builder
	if err := printEnv(&out, env, nil); err != nil {
		t.Fatal(err)
	}
	if want := "export A='it'\\''s'\nexport B='plain'\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
	out.Reset()
	if err := printEnv(&out, env, []string{"A"}); err != nil || out.String() != "it's\n" {
		t.Errorf("printed %q, %v", out.String(), err)
	}
	if err := printEnv(&out, env, []string{"C"}); err == nil {
		t.Error("an unknown variable is accepted")
	}
}
