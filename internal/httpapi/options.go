package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/conclave-dev/conclave/pkg/config"
)

// Options configures a Handler. Store and Cluster are required; zero means the
// default everywhere else.
type Options struct {
	// Store is what is served.
	Store *config.Store
	// Cluster answers GET /v1/cluster.
	Cluster Cluster
	// Hosts are the names by which clients may call this server, besides IP
	// addresses and localhost, without ports. "name.*" takes in every name that
	// begins with "name.".
	Hosts []string
	// Logger gets what needs an operator's eye, and at debug level every
	// refusal; default none.
	Logger *slog.Logger
	// WriteTimeout is how long a put or delete may take until its outcome is
	// called unknown; default 10 s.
	WriteTimeout time.Duration
	// ReadTimeout is how long a linear or session read may take; default 5 s.
	ReadTimeout time.Duration
	// MaxRequests is how many requests are served at a time; those that wait
	// for a change don't count, for the store bounds them, nor do streams. Default 4096.
	MaxRequests int
	// MaxStreams is how many listings are streamed at a time, each of which may take
	// ten minutes and keeps the state of its revision; default 256.
	MaxStreams int
	// MaxBodyBytes is what the bodies of all requests being served may take
	// together; default 64 MiB, at least config.MaxValueBytes.
	MaxBodyBytes int64
	// MaxReplyBytes is what the replies to batches being sent may take together;
	// default 64 MiB, at least 16 MiB.
	MaxReplyBytes int64
	// MaxDocuments is how many requests at a time may read values as documents:
	// one takes up to 130 MB of memory for up to a second. Default 2.
	MaxDocuments int
	// MaxRenderedBytes is what rendered prefixes that are kept or being sent may
	// take together, with the values that they are of; default 64 MiB, and at
	// least that.
	MaxRenderedBytes int64
	// MaxEventBytes is what the encoded revisions that watches share may take
	// together; default 32 MiB. Of one that takes more than an eighth, each watch
	// makes its own, piece by piece.
	MaxEventBytes int64
	// WatchWriteTimeout is how long a watch's client may take to accept a piece of
	// at most 64 KiB before it is dropped; default 15 s.
	WatchWriteTimeout time.Duration
	// BookmarkInterval is how often a watch tells how far it has come at the
	// least, and that it is alive; it varies down to the half. Default 10 s.
	BookmarkInterval time.Duration
}

// minRenderedBytes is room for one document of the largest kind, with its values
// and what its buffer has to spare.
const minRenderedBytes = 64 << 20

// Cluster tells what the cluster looks like from here.
type Cluster interface {
	// Cluster returns the local view. It needs no quorum, and an error only
	// means that this member can't say, even about itself.
	Cluster(ctx context.Context) (ClusterStatus, error)
}

// Validate returns an error that names the first field that can't be used.
func (o *Options) Validate() error {
	switch {
	case o.Store == nil:
		return errors.New("no Store is given")
	case o.Cluster == nil:
		return errors.New("no Cluster is given")
	case o.WriteTimeout < 0 || o.ReadTimeout < 0 || o.WatchWriteTimeout < 0 || o.BookmarkInterval < 0:
		return errors.New("a timeout is negative")
	case o.MaxRequests < 0:
		return fmt.Errorf("MaxRequests is %d and can't be negative", o.MaxRequests)
	case o.MaxStreams < 0:
		return fmt.Errorf("MaxStreams is %d and can't be negative", o.MaxStreams)
	case o.MaxBodyBytes != 0 && o.MaxBodyBytes < config.MaxValueBytes:
		return fmt.Errorf("MaxBodyBytes is %d, less than one value of %d", o.MaxBodyBytes, config.MaxValueBytes)
	case o.MaxEventBytes < 0:
		return fmt.Errorf("MaxEventBytes is %d and can't be negative", o.MaxEventBytes)
	case o.MaxReplyBytes != 0 && o.MaxReplyBytes < maxReplyBytes:
		return fmt.Errorf("MaxReplyBytes is %d, less than one reply of %d", o.MaxReplyBytes, maxReplyBytes)
	case o.MaxDocuments < 0:
		return fmt.Errorf("MaxDocuments is %d and can't be negative", o.MaxDocuments)
	case o.MaxRenderedBytes != 0 && o.MaxRenderedBytes < minRenderedBytes:
		return fmt.Errorf("MaxRenderedBytes is %d, less than the %d of one document", o.MaxRenderedBytes, minRenderedBytes)
	}
	for _, host := range o.Hosts {
		if err := checkHostPattern(host); err != nil {
			return err
		}
	}
	return nil
}

// checkHostPattern refuses what would never match, such as a name with a port.
func checkHostPattern(pattern string) error {
	name := strings.TrimSuffix(pattern, ".*")
	if name == "" || strings.ContainsAny(name, "*:/@ ") {
		return fmt.Errorf("host %q is neither a name nor a name followed by \".*\"", pattern)
	}
	return nil
}

// withDefaults returns the options with every zero replaced.
func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&o.WriteTimeout, 10 * time.Second},
		{&o.ReadTimeout, 5 * time.Second},
		{&o.WatchWriteTimeout, 15 * time.Second},
		{&o.BookmarkInterval, 10 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	if o.MaxRequests == 0 {
		o.MaxRequests = 4096
	}
	if o.MaxStreams == 0 {
		o.MaxStreams = 256
	}
	if o.MaxBodyBytes == 0 {
		o.MaxBodyBytes = 64 << 20
	}
	if o.MaxReplyBytes == 0 {
		o.MaxReplyBytes = 64 << 20
	}
	if o.MaxDocuments == 0 {
		o.MaxDocuments = 2
	}
	if o.MaxRenderedBytes == 0 {
		o.MaxRenderedBytes = minRenderedBytes
	}
	if o.MaxEventBytes == 0 {
		o.MaxEventBytes = 32 << 20
	}
	return o
}
