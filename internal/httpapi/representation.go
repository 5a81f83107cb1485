package httpapi

import (
	"mime"
	"net/http"
	"net/url"
	"strings"

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
func (k *keyRead) write(w http.ResponseWriter, entry *config.Entry, standing config.Standing) {
	if k.form == formEntry {
		d := newDocument(w, standing, entryMediaType)
		d.entry(k.namespace, entry)
		d.end()
		return
	}
	w.Header()["Content-Type"] = []string{entry.MediaType}
	setLength(w.Header(), len(entry.Value))
	_, _ = w.Write(entry.Value) // the client may be gone; there is nobody else to tell
}

// entryBody is the JSON envelope of an entry, without its value.
type entryBody struct {
	Namespace      string `json:"namespace"`
	Key            string `json:"key"`
	Revision       uint64 `json:"revision"`
	CreateRevision uint64 `json:"createRevision"`
	Version        uint64 `json:"version"`
	Type           string `json:"type"`
}

func newEntryBody(namespace string, e *config.Entry) entryBody {
	return entryBody{
		Namespace: namespace, Key: e.Key, Revision: e.ModRevision,
		CreateRevision: e.CreateRevision, Version: e.Version, Type: e.MediaType,
	}
}
