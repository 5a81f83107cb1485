package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
)

// replyBytesMax bounds a reply, as the nodes do.
const replyBytesMax = 16 << 20

// Options say how to reach a cluster. Only Endpoint is required.
type Options struct {
	// Endpoint is scheme, host and port of a node or of the service in front of
	// the nodes: http://127.0.0.1:8400.
	Endpoint string
	// HTTPClient sends the requests; default one with the settings of
	// http.DefaultTransport. Deadlines come from each call's context.
	HTTPClient *http.Client
}

// Validate reports the first option that can't be used.
func (o Options) Validate() error {
	// An address without its scheme doesn't parse; the error would not say what lacks.
	if u, err := url.Parse(o.Endpoint); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		bare := url.URL{Scheme: u.Scheme, Host: u.Host}
		if strings.TrimSuffix(o.Endpoint, "/") == bare.String() {
			return nil
		}
	}
	return fmt.Errorf("client: endpoint %q: want scheme, host and port, such as http://127.0.0.1:8400", o.Endpoint)
}

// A Client speaks to one endpoint. It is safe for concurrent use.
type Client struct {
	endpoint string
	http     http.Client
}

// New returns a Client, or the error of Options.Validate. It contacts nobody yet.
func New(o Options) (*Client, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c := &Client{endpoint: strings.TrimSuffix(o.Endpoint, "/")}
	if o.HTTPClient != nil {
		c.http = *o.HTTPClient
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// A call is one request.
type call struct {
	method string
	// path is percent-encoded, query may be nil.
	path   string
	query  url.Values
	header http.Header
	body   []byte
}

// writes reports whether the call may change the store.
func (c call) writes() bool { return c.method != http.MethodGet }

// describe names the call in errors.
func (c call) describe() string { return c.method + " " + c.path }

// A reply is a successful answer with its body.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// do sends one request and returns a success, or an *Error.
func (c *Client) do(ctx context.Context, call call) (*reply, error) {
	target := c.endpoint + call.path
	if len(call.query) > 0 {
		target += "?" + call.query.Encode()
	}
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	request, err := http.NewRequestWithContext(ctx, call.method, target, bytes.NewReader(call.body))
	if err != nil {
		return nil, &Error{Op: call.describe(), Outcome: Rejected, Err: err}
	}
	for name, values := range call.header {
		request.Header[name] = values
	}
	response, err := c.http.Do(request)
	if err != nil {
		outcome := Rejected // without a connection, nobody got the request
		if connected.Load() {
			outcome = outcomeUnread(call)
		}
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err // the rest of it would only repeat the request
		}
		return nil, &Error{Op: call.describe(), Outcome: outcome, Retryable: outcome == Rejected, Err: err}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, replyBytesMax+1))
	switch {
	case err == nil && len(body) > replyBytesMax:
		err = fmt.Errorf("the reply is longer than %d bytes", replyBytesMax)
		fallthrough
	case err != nil:
		return nil, &Error{Op: call.describe(), Status: response.StatusCode, Outcome: outcomeUnread(call), Err: err}
	case response.StatusCode < 200 || response.StatusCode > 299:
		return nil, readError(call, response, body)
	}
	return &reply{response.StatusCode, response.Header, body}, nil
}

// decode reads the JSON of a reply.
func (r *reply) decode(call call, value any) error {
	mediaType, _, _ := mime.ParseMediaType(r.header.Get("Content-Type"))
	err := errors.New("it is not JSON but " + mediaType)
	if mediaType == "application/json" || strings.HasSuffix(mediaType, "+json") {
		err = json.Unmarshal(r.body, value)
	}
	if err != nil {
		return &Error{Op: call.describe(), Status: r.status, Outcome: outcomeUnread(call), Err: fmt.Errorf("decode the reply: %w", err)}
	}
	return nil
}
