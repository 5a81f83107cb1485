package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// replyBytesMax bounds a reply, as the nodes do.
const replyBytesMax = 16 << 20

// endpointsMax bounds the endpoints of one client: no cluster has more members.
const endpointsMax = 64

// Options say how to reach a cluster. Only Endpoints are required.
type Options struct {
	// Endpoints are where clients are served: scheme, host and port of nodes, or
	// of the service in front of them, such as http://127.0.0.1:8400. 1 to 64.
	// The one that answered last is asked first.
	Endpoints []string
	// HTTPClient sends the requests; default one with the settings of
	// http.DefaultTransport and 5 s to connect. Deadlines come from each call's
	// context.
	HTTPClient *http.Client
	// TLS says whom to trust behind https, and what to show. Without HTTPClient;
	// one that is given has settings of its own.
	TLS TLSFiles
	// Attempts is how often a call is sent at most, to all endpoints together;
	// default 10, 1 for never again. See the package comment for what is sent
	// again.
	Attempts int
	// PauseMax bounds the pause after all endpoints were asked in vain, and with it
	// what Retry-After can ask for; default 5 s.
	PauseMax time.Duration
	// AttemptTimeout is how long an endpoint may take to answer what can be sent
	// again; default 15 s, which is longer than nodes take.
	AttemptTimeout time.Duration
	// OnRetry, if not nil, is told each failure that isn't final, and the pause
	// before the call is sent again. It must not block.
	OnRetry func(failure *Error, pause time.Duration)
}

// Validate reports the first option that can't be used.
func (o Options) Validate() error {
	if n := len(o.Endpoints); n == 0 || n > endpointsMax {
		return fmt.Errorf("client: there are %d endpoints, want 1 to %d", n, endpointsMax)
	}
	for _, endpoint := range o.Endpoints {
		if err := checkEndpoint(endpoint); err != nil {
			return err
		}
	}
	if o.HTTPClient != nil && o.TLS != (TLSFiles{}) {
		return errors.New("client: HTTPClient and TLS: only one can be given; TLSFiles.Secure prepares the transport of the former")
	}
	if o.Attempts < 0 || o.PauseMax < 0 || o.AttemptTimeout < 0 {
		return fmt.Errorf("client: attempts %d, longest pause %v, attempt timeout %v: none may be negative",
			o.Attempts, o.PauseMax, o.AttemptTimeout)
	}
	return nil
}

func checkEndpoint(endpoint string) error {
	// An address without its scheme doesn't parse; the error would not say what lacks.
	if u, err := url.Parse(endpoint); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		bare := url.URL{Scheme: u.Scheme, Host: u.Host}
		if strings.TrimSuffix(endpoint, "/") == bare.String() {
			return nil
		}
	}
	return fmt.Errorf("client: endpoint %q: want scheme, host and port, such as http://127.0.0.1:8400", endpoint)
}

// A Client speaks to one cluster. It is safe for concurrent use.
type Client struct {
	options Options
	http    http.Client
	// preferred is the index of the endpoint that answered last.
	preferred atomic.Int64
}

// New returns a Client, or the error of Options.Validate or of the files of
// Options.TLS. It contacts nobody yet.
func New(o Options) (*Client, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.Endpoints = slices.Clone(o.Endpoints)
	for i, endpoint := range o.Endpoints {
		o.Endpoints[i] = strings.TrimSuffix(endpoint, "/")
	}
	o.Attempts = cmp.Or(o.Attempts, 10)
	o.PauseMax = cmp.Or(o.PauseMax, 5*time.Second)
	o.AttemptTimeout = cmp.Or(o.AttemptTimeout, 15*time.Second)
	c := &Client{options: o}
	if o.HTTPClient != nil {
		c.http = *o.HTTPClient
	} else {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.DialContext = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
		if err := o.TLS.Secure(transport); err != nil {
			return nil, fmt.Errorf("client: TLS: %w", err)
		}
		c.http.Transport = transport
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// Close closes the connections that are kept for later calls. Calls under way go
// on, and later ones connect anew.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// A call is one request.
type call struct {
	method string
	// path is percent-encoded, query may be nil.
	path   string
	query  url.Values
	header http.Header
	body   []byte
	// reads is set for a call that changes nothing, whatever its method.
	reads bool
}

// writes reports whether the call may change the store.
func (c call) writes() bool { return !c.reads && c.method != http.MethodGet }

// repeatable reports whether the call may be sent again whatever became of it
// before: it changes nothing, or the nodes answer it as they did the first time.
func (c call) repeatable() bool { return !c.writes() || c.header.Get(idempotencyHeader) != "" }

// describe names the call in errors.
func (c call) describe() string { return c.method + " " + c.path }

// A reply is a successful answer with its body.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// do sends a call, to several endpoints if need be, and returns a success or an
// *Error.
func (c *Client) do(ctx context.Context, call call) (answer *reply, err error) {
	err = c.retry(ctx, call, func(endpoint string) error {
		attempt, cancel := ctx, context.CancelFunc(func() {})
		if call.repeatable() { // another write may not be given up for another attempt
			attempt, cancel = context.WithTimeout(ctx, c.options.AttemptTimeout)
		}
		defer cancel()
		answer, err = c.ask(attempt, endpoint, call)
		return err
	})
	return answer, err
}

// ask sends a call to one endpoint and reads the whole answer.
func (c *Client) ask(ctx context.Context, endpoint string, call call) (*reply, error) {
	response, err := c.open(ctx, endpoint, call)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := readBody(response)
	if err != nil {
		outcome := outcomeUnread(call)
		return nil, &Error{Op: call.describe(), Endpoint: endpoint, Status: response.StatusCode, Outcome: outcome,
			Retryable: outcome == Rejected, Err: err}
	}
	return &reply{response.StatusCode, response.Header, body}, nil
}

// open sends a call to one endpoint and returns the answer of a success, whose
// body is still to be read and closed.
func (c *Client) open(ctx context.Context, endpoint string, call call) (*http.Response, error) {
	failure := &Error{Op: call.describe(), Endpoint: endpoint, Outcome: Rejected}
	if failure.Err = ctx.Err(); failure.Err != nil {
		return nil, failure
	}
	target := endpoint + call.path
	if len(call.query) > 0 {
		target += "?" + call.query.Encode()
	}
	// Some transports tell nothing of their connections; those that do begin with GetConn.
	var connecting, connected atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { connecting.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	request, err := http.NewRequestWithContext(traced, call.method, target, bytes.NewReader(call.body))
	if err != nil {
		failure.Err = err
		return nil, failure
	}
	for name, values := range call.header {
		request.Header[name] = values
	}
	response, err := c.http.Do(request)
	if err != nil {
		if !connecting.Load() || connected.Load() { // without a connection, nobody got the request
			failure.Outcome = outcomeUnread(call)
		}
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err // the rest of it would only repeat the request
		}
		failure.Retryable, failure.Err = failure.Outcome == Rejected, err
		return nil, failure
	}
	if response.StatusCode >= 200 && response.StatusCode <= 299 {
		return response, nil
	}
	defer response.Body.Close()
	body, err := readBody(response)
	failure.Status, failure.Outcome, failure.Err = response.StatusCode, outcomeUnread(call), err
	if err == nil {
		failure.read(response.Header, body)
	}
	return nil, failure
}

// readBody reads a body of bounded length.
func readBody(response *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, replyBytesMax+1))
	if err == nil && len(body) > replyBytesMax {
		err = fmt.Errorf("the reply is longer than %d bytes", replyBytesMax)
	}
	return body, err
}

// decode reads the JSON of a reply.
func (r *reply) decode(call call, value any) error {
	mediaType, _, _ := mime.ParseMediaType(r.header.Get("Content-Type"))
	err := errors.New("it is not JSON but " + mediaType)
	if mediaType == "application/json" || strings.HasSuffix(mediaType, "+json") {
		err = json.Unmarshal(r.body, value)
	}
	if err != nil {
		return r.unreadable(call, fmt.Errorf("decode the reply: %w", err))
	}
	return nil
}
