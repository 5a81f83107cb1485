package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the build.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // A second signal ends the process at once.
	err := command().ExecuteContext(ctx)
	if err != nil {
		for line := range strings.Lines(err.Error()) { // One for each thing that is wrong.
			fmt.Fprintln(os.Stderr, "node:", strings.TrimSuffix(line, "\n"))
		}
		os.Exit(1)
	}
}

func command() *cobra.Command {
	c := newRunCommand()
	c.AddCommand(newDevCommand(), newRecoverCommand())
	c.CompletionOptions.DisableDefaultCmd = true
	return c
}
