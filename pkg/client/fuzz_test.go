package client_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/conclave-dev/conclave/pkg/client"
)

// once answers the first request with these bytes, and refuses all later ones.
type once struct {
	mediaType string
	body      []byte
}

func (o *once) RoundTrip(r *http.Request) (*http.Response, error) {
	if o.body == nil {
		o.mediaType, o.body = "application/problem+json", []byte(`{"code":"malformed","outcome":"rejected"}`)
		return o.response(r, http.StatusBadRequest), nil
	}
	response := o.response(r, http.StatusOK)
	o.body = nil
	return response, nil
}

func (o *once) response(r *http.Request, status int) *http.Response {
	header := http.Header{"Content-Type": {o.mediaType}, "Conclave-Revision": {"1"}}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(o.body)), Request: r}
}

// answeredBy returns a client that is answered with these bytes once.
func answeredBy(t *testing.T, mediaType string, body []byte) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{
		Endpoints: []string{"http://a"}, HTTPClient: &http.Client{Transport: &once{mediaType, append([]byte{}, body...)}}, Attempts: 1, PauseMax: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// FuzzWatch: whatever comes over a connection, a watch tells revisions in order and
// each once, and ends with an error.
func FuzzWatch(f *testing.F) {
	for _, lines := range [][]string{
		{"5 bookmark", "6 put a b", "7 delete a", "bye"},
		{"put a", "put b", "9 sync", "9 put a", "10 put a"},
		{"put a", "resync"},
		{"later", "retry: 7", "18446744073709551615 put a", "0 put a", "id: x\nevent: change\ndata: []"},
		{"event: change\ndata: [{\"op\":\"get\"}]", "data\ndata: \n: c\n\r\n"},
	} {
		var text []byte
		for _, line := range lines {
			text = append(text, event(line)...)
		}
		f.Add(text, true)
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, body []byte, initial bool) {
		last, ended := uint64(0), false
		for event, err := range answeredBy(t, "text/event-stream", body).Watch(t.Context(), "pay", client.WatchOptions{Initial: initial}) {
			switch {
			case ended:
				t.Fatal("something was told after the error")
			case err != nil:
				ended = true
			case event.Kind == client.EventResync:
				last = 0
			case event.Kind == client.EventChange && event.Revision != 0 && event.Revision <= last, event.Revision != 0 && event.Revision < last:
				t.Fatalf("%+v follows revision %d", event, last)
			default:
				last = max(last, event.Revision)
			}
		}
		if !ended {
			t.Error("the watch ended without an error")
		}
	})
}

// FuzzEntries: whatever comes as a listing, it ends, and without an error only if it
// says itself that it is whole.
func FuzzEntries(f *testing.F) {
	f.Add([]byte(`{"key":"a","text":"v"}` + "\n" + `{"key":"b","base64":"AP8="}` + "\n" + `{"end":true,"revision":4,"entries":2}` + "\n"))
	f.Add([]byte(`{"end":true}` + "\n"))
	f.Add([]byte("\n\n{}\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		count := 0
		var failure error
		for entry, err := range answeredBy(t, "application/x-ndjson", body).Entries(t.Context(), "pay", client.ListOptions{}) {
			if failure = err; err == nil {
				count++
				if entry == nil {
					t.Fatal("neither an entry nor an error")
				}
			}
		}
		if failure == nil && !bytes.Contains(bytes.ToLower(body), []byte("end")) && !bytes.Contains(body, []byte(`\u`)) {
			t.Errorf("a listing of %d entries without an end is taken for whole", count)
		}
	})
}
