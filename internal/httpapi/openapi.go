package httpapi

import (
	"crypto/sha256"
	_ "embed" // for the document
	"fmt"
	"net/http"
)

// document describes this API to programs (OpenAPI 3.1). It is written by hand
// and held to the handler by a test, in both directions.
//
//go:embed openapi.json
var document []byte

// documentTag is the document's entity tag.
var documentTag = fmt.Sprintf(`"%.16x"`, sha256.Sum256(document))

// getDocument serves /openapi.json.
func (h *Handler) getDocument(w http.ResponseWriter, r *http.Request, _ target) error {
	known, err := readTags(r.Header, "If-None-Match")
	if err != nil {
		return err
	}
	header := w.Header()
	setStanding(header, h.Store.Standing())
	header.Set("ETag", documentTag)
	if known.includes(documentTag, true) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	header.Set("Content-Type", "application/json")
	setLength(header, len(document))
	_, _ = w.Write(document) // the client may be gone; there is nobody else to tell
	return nil
}
