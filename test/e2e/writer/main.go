package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "writer:", err)
	os.Exit(1)
}

// shutdownTimeout bounds the wait for replies under way at the end.
const shutdownTimeout = 5 * time.Second

// run writes and serves until ctx ends. The history is there until then, also
// when the workers have been stopped.
func run(ctx context.Context, args []string) error {
	var o options
	var listen string
	flags := flag.NewFlagSet("writer", flag.ContinueOnError)
	flags.StringVar(&o.endpoint, "endpoint", "", "client port of a store, http://HOST:PORT (required)")
	flags.StringVar(&o.namespace, "namespace", "e2e", "namespace of the store to write to")
	flags.StringVar(&o.name, "name", "writer", "what keys and values begin with: it must be new to the namespace")
	flags.IntVar(&o.workers, "workers", 4, "how many write at a time, 1 to 64")
	flags.DurationVar(&o.timeout, "timeout", time.Second, "longest wait for an answer")
	flags.DurationVar(&o.pause, "pause", 5*time.Millisecond, "pause of a worker after each request")
	flags.StringVar(&listen, "listen", ":8080", "address to tell how it goes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	w, err := start(ctx, o)
	if err != nil {
		return err
	}
	server := &http.Server{Addr: listen, Handler: w.handler(), ReadHeaderTimeout: shutdownTimeout}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err = <-failed:
	case <-ctx.Done():
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		err = server.Shutdown(ending)
		if ended := <-failed; !errors.Is(ended, http.ErrServerClosed) {
			err = errors.Join(err, ended)
		}
	}
	w.stop()
	return err
}
