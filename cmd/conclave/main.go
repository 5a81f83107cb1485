package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// version is set when the program is built.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	p := program{
		name: filepath.Base(os.Args[0]),
		env:  os.Getenv,
		in:   os.Stdin,
		out:  os.Stdout,
		err:  os.Stderr,
		now:  time.Now,
	}
	status := p.run(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}

// program is one run of the command line, with all that it takes from outside.
type program struct {
	// name is what it was called as.
	name string
	// env reads a variable of the environment, empty when it isn't set.
	env      func(name string) string
	in       io.Reader
	out, err io.Writer
	// now is the clock that says when progress is worth telling.
	now func() time.Time
}
