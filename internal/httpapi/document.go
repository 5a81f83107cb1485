package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/conclave-dev/conclave/pkg/config"
)

const jsonMediaType = "application/json"

// documentPieceBytes of a document are gathered before they are sent.
const documentPieceBytes = 32 << 10

// documentWriter sends a JSON document piece by piece, so that a client that reads
// slowly keeps only a piece of it in memory, whatever the size of the values in
// it. A document of one piece is sent with its length.
type documentWriter struct {
	to    http.ResponseWriter
	piece []byte
	// begun tells that a piece was sent, and err why no more can be.
	begun bool
	err   error
}

// newDocument begins a document; nothing may be refused after it. The caller ends
// it by end.
func newDocument(w http.ResponseWriter, standing config.Standing, mediaType string) *documentWriter {
	setStanding(w.Header(), standing)
	w.Header()["Content-Type"] = []string{mediaType}
	return &documentWriter{to: w}
}

// Write implements io.Writer. It fails when the client is gone, which nobody else
// wants to know.
func (d *documentWriter) Write(data []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	if len(d.piece)+len(data) > documentPieceBytes {
		d.send()
	}
	d.piece = append(d.piece, data...)
	return len(data), d.err
}

func (d *documentWriter) send() {
	if len(d.piece) == 0 || d.err != nil {
		return
	}
	d.begun = true
	_, d.err = d.to.Write(d.piece)
	d.piece = d.piece[:0]
}

func (d *documentWriter) end() {
	if !d.begun {
		setLength(d.to.Header(), len(d.piece))
	}
	d.send()
}

func (d *documentWriter) text(s string) { _, _ = d.Write([]byte(s)) } // the error stays with the writer

// value adds what can always be encoded.
func (d *documentWriter) value(v any) {
	_, _ = d.Write(mustEncode(v)) // the error stays with the writer
}

// open adds an object without its closing brace.
func (d *documentWriter) open(v any) {
	encoded := mustEncode(v)
	_, _ = d.Write(encoded[:len(encoded)-1]) // the error stays with the writer
}

// mustEncode is for our own types, of strings and numbers.
func mustEncode(v any) []byte {
	encoded, err := json.Marshal(v)
	if err != nil {
		panic("httpapi: a reply can't be encoded: " + err.Error())
	}
	return encoded
}

// field adds a member that isn't the first of its object.
func (d *documentWriter) field(name string, v any) {
	d.text(`,"` + name + `":`)
	d.value(v)
}

// revision adds the member revision, which isn't the first of its object.
func (d *documentWriter) revision(name string, revision uint64) {
	d.text(`,"` + name + `":` + strconv.FormatUint(revision, 10))
}

// next adds the cursor of the next page, if there is one.
func (d *documentWriter) next(cursor string) {
	if cursor != "" {
		d.field("next", cursor)
	}
}

// valued adds an object of head's members and a value of the store, which is text
// when it is UTF-8 and else base64.
func (d *documentWriter) valued(head any, value []byte) {
	d.open(head)
	_ = writeValue(d, value) // the error stays with the writer
}

// entry adds an entry with its value.
func (d *documentWriter) entry(namespace string, e *config.Entry) {
	d.valued(newEntryBody(namespace, e), e.Value)
}

// each adds an array with an item for each of n.
func (d *documentWriter) each(name string, n int, item func(i int)) {
	d.text(`,"` + name + `":[`)
	for i := range n {
		if i > 0 {
			d.text(",")
		}
		item(i)
	}
	d.text("]")
}
