package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// errInterrupted is the cause of a context that a signal ended.
var errInterrupted = errors.New("interrupted")

func main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // ends with the process
		<-signals
		cancel(errInterrupted)
		signal.Stop(signals) // a second one ends the tool at once
	}()
	if err := newRootCommand().ExecuteContext(ctx); err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = cause // what was going on failed for this reason
		}
		fmt.Fprintln(os.Stderr, "kube:", err)
		os.Exit(1)
	}
}
