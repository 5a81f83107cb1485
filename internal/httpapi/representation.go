package httpapi

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/conclave-dev/conclave/pkg/config"
)

// entryMediaType is the media type of the JSON envelope.
const entryMediaType = "application/vnd.conclave.entry+json"

// readForm finds out which representation is wanted. Raw bytes are the answer
// to everything but a clear wish for the envelope.
func readForm(r *http.Request, query url.Values) (form, error) {
	meta, err := flag(query, "meta")
	if err != nil {
		return formRaw, err
	}
	if meta {
		return formEntry, nil
	}
	if accepts(r.Header, entryMediaType) {
		return formEntry, nil
	}
	return formRaw, nil
}

// accepts tells whether the header Accept names a media type of ours, with a
// weight other than 0. Ranges such as */* don't name it.
func accepts(header http.Header, mediaType string) bool {
	for _, line := range header["Accept"] {
		// Most clients accept everything; only ours are looked at closely.
		if !strings.Contains(line, mediaType) {
			continue
		}
		for mediaRange := range strings.SplitSeq(line, ",") {
			name, parameters, err := mime.ParseMediaType(mediaRange)
			if err == nil && name == mediaType {
				return strings.Trim(parameters["q"], "0.") != "" || parameters["q"] == ""
			}
		}
	}
	return false
}

// write sends the entry in the form that was asked for.
func (k *keyRead) write(w http.ResponseWriter, entry *config.Entry) error {
	body, mediaType := entry.Value, entry.MediaType
	if k.form == formEntry {
		var err error
		if body, err = json.Marshal(newEntryBody(k.namespace, entry, true)); err != nil {
			return fmt.Errorf("encode the envelope of %s/%s: %w", k.namespace, k.key, err)
		}
		mediaType = entryMediaType
	}
	w.Header()["Content-Type"] = []string{mediaType}
	setLength(w.Header(), len(body))
	_, _ = w.Write(body) // the client may be gone; there is nobody else to tell
	return nil
}

// entryBody is the JSON envelope of an entry.
type entryBody struct {
	Namespace      string `json:"namespace"`
	Key            string `json:"key"`
	Revision       uint64 `json:"revision"`
	CreateRevision uint64 `json:"createRevision"`
	Version        uint64 `json:"version"`
	Type           string `json:"type"`
	shownValue
}

// shownValue is a value: Text when it is UTF-8, else Base64. Both are nil where
// values weren't asked for.
type shownValue struct {
	Text   *string `json:"text,omitempty"`
	Base64 *[]byte `json:"base64,omitempty"`
}

func newShownValue(value []byte) shownValue {
	if !utf8.Valid(value) {
		return shownValue{Base64: &value}
	}
	text := string(value)
	return shownValue{Text: &text}
}

func newEntryBody(namespace string, e *config.Entry, withValue bool) entryBody {
	body := entryBody{
		Namespace: namespace, Key: e.Key, Revision: e.ModRevision,
		CreateRevision: e.CreateRevision, Version: e.Version, Type: e.MediaType,
	}
	if withValue {
		body.shownValue = newShownValue(e.Value)
	}
	return body
}
