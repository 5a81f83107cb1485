package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// version is set when the program is built.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "operator:", err)
	os.Exit(1)
}

// run parses the arguments and serves until ctx ends.
func run(ctx context.Context, args []string) error {
	options, err := parseOptions(args, os.Getenv, os.Stderr)
	if err != nil {
		return err
	}
	if options.showVersion {
		fmt.Println(version)
		return nil
	}
	return serve(ctx, options)
}
