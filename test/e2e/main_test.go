package e2e

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain looks for goroutines that a test left behind.
func TestMain(m *testing.M) {
	flag.Parse()
	clean := func() {}
	if prepare != nil {
		clean = prepare()
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		clean()
		os.Exit(status)
	}))
}

// prepare, unless nil, is called before all tests, and what it returns after them.
var prepare func() (clean func())
