package arch

import (
	"sync"
	"testing"
)

// thisModule reads the module once for all laws.
var thisModule = sync.OnceValues(func() (*Tree, error) { return Load("../..") })

func load(t *testing.T) *Tree {
	t.Helper()
	tree, err := thisModule()
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// report fails the test once for each violation.
func report(t *testing.T, found []Violation) {
	t.Helper()
	for _, v := range found {
		t.Error(v)
	}
}

func TestImportLaw(t *testing.T) { report(t, CheckImports(load(t), ThisLaw)) }

func TestSizeLaw(t *testing.T) { report(t, CheckSizes(load(t))) }

func TestLayoutLaw(t *testing.T) { report(t, CheckLayout(load(t))) }

func TestReachLaw(t *testing.T) {
	found, err := CheckReach(load(t), ThisReach)
	if err != nil {
		t.Fatal(err)
	}
	report(t, found)
}

// TestEveryBanHasAReason keeps the promise that law.go makes to its reader.
func TestEveryBanHasAReason(t *testing.T) {
	for dir, rule := range ThisLaw {
		if len(rule.May) == 0 {
			t.Errorf("%s: its row allows nothing", dir)
		}
		for _, ban := range rule.Never {
			if ban.Reason == "" || len(ban.Imports) == 0 {
				t.Errorf("%s: a ban without imports or without a reason: %+v", dir, ban)
			}
		}
	}
}
