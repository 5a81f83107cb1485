package e2e

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain looks for goroutines that a test left behind, and removes the program
// that the tests built.
func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		if buildDir != "" {
			os.RemoveAll(buildDir)
		}
		os.Exit(status)
	}))
}

// buildDir holds what the tests built, empty before they built anything.
var buildDir string
