package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// version is set when the program is built.
var version = "dev"

const (
	// interruptGrace is how long a command has to end by itself, and to say how far it
	// came. One that reads from a terminal never would.
	interruptGrace = time.Second
	// statusInterrupted is what shells give to a command that SIGINT has ended.
	statusInterrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		stop() // so that the next one ends the program at once
		time.Sleep(interruptGrace)
		fmt.Fprintln(os.Stderr, "conclave: interrupted")
		os.Exit(statusInterrupted)
	})
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
