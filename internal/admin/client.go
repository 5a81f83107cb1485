package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// replyBytesMax bounds how much of a reply is read. The status of the largest
// cluster is a few KiB.
const replyBytesMax = 1 << 20

// Client asks one node's operations port. Its zero value lacks only BaseURL and
// a credential. It is safe for concurrent use as long as its fields stay as they are.
type Client struct {
	// BaseURL is scheme, host and port: http://cfg-0.cfg-peers.prod.svc:8402.
	BaseURL string
	// Token is the bearer token. The admin endpoints refuse every request that has
	// neither one nor, over TLS, a client certificate; one with both is judged by
	// its token.
	Token string
	// HTTPClient sends the requests; default http.DefaultClient. Deadlines come
	// from each call's context. Redirects are never followed, whatever it says,
	// so that the token goes nowhere else.
	HTTPClient *http.Client
}

// Status returns what the node says of itself. A refusal is a *Problem; any other
// error means that no answer came, or none that a node would give.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	status := new(Status)
	if err := c.send(ctx, request{method: http.MethodGet, path: "/admin/v1/status"}, status); err != nil {
		return nil, fmt.Errorf("read the status of %s: %w", c.BaseURL, err)
	}
	return status, nil
}

// request is what is sent to a node.
type request struct {
	method string
	path   string
	// body is sent as JSON unless it is nil.
	body any
	// ifMatch, unless 0, is the index of the membership that the request is for.
	ifMatch uint64
}

// send asks the node and decodes the answer.
func (c *Client) send(ctx context.Context, r request, answer any) error {
	target, err := c.target(r.path)
	if err != nil {
		return err
	}
	var body io.Reader
	if r.body != nil {
		encoded, err := json.Marshal(r.body)
		if err != nil {
			return err
		}
		body = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return err
	}
	if c.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.Token)
	}
	request.Header.Set("Accept", "application/json, "+ProblemType)
	if r.body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if r.ifMatch != 0 {
		request.Header.Set("If-Match", quoteIndex(r.ifMatch))
	}
	response, err := c.client().Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return decode(response, answer)
}

// Check tells what is wrong with BaseURL, without asking anybody.
func (c *Client) Check() error {
	_, err := c.target("")
	return err
}

// target returns the URL of path below BaseURL, which must be nothing but scheme,
// host and port.
func (c *Client) target(path string) (string, error) {
	base, err := url.Parse(c.BaseURL)
	if err != nil {
		return "", err
	}
	bare := url.URL{Scheme: base.Scheme, Host: base.Host}
	if base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || strings.TrimSuffix(c.BaseURL, "/") != bare.String() {
		return "", errors.New("want a base URL of scheme, host and port, such as http://127.0.0.1:8402")
	}
	return bare.String() + path, nil
}

// client returns HTTPClient in a form that follows no redirect.
func (c *Client) client() *http.Client {
	client := http.Client{}
	if c.HTTPClient != nil {
		client = *c.HTTPClient
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// decode reads a reply into answer, or returns the problem that it holds.
func decode(response *http.Response, answer any) error {
	body, err := io.ReadAll(io.LimitReader(response.Body, replyBytesMax+1))
	if err != nil {
		return fmt.Errorf("read the reply: %w", err)
	}
	if len(body) > replyBytesMax {
		return fmt.Errorf("the reply is longer than %d bytes", replyBytesMax)
	}
	mediaType, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	switch {
	case mediaType == ProblemType:
		problem := new(Problem)
		if err := json.Unmarshal(body, problem); err != nil {
			return fmt.Errorf("HTTP %d with a problem that can't be read: %w", response.StatusCode, err)
		}
		problem.Status = response.StatusCode
		return problem
	case response.StatusCode == http.StatusBadRequest && bytes.HasPrefix(body, []byte("Client sent an HTTP request to an HTTPS server")):
		return errors.New("the operations port speaks TLS: call it by https://")
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("HTTP %d without a problem: this is not the operations port of a node", response.StatusCode)
	case mediaType != "application/json":
		return fmt.Errorf("the reply is %q, not JSON: this is not the operations port of a node", mediaType)
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("decode the reply: %w", err)
	}
	return nil
}
