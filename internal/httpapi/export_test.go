package httpapi

import "strings"

// Serving returns the number of requests being served.
func (h *Handler) Serving() int64 { return h.Load().Requests }

// Occupy makes it look as if n more requests were being served.
func (h *Handler) Occupy(n int64) { h.serving.Add(n) }

// OccupyDocuments takes the turns of n who read values as documents.
func (h *Handler) OccupyDocuments(n int64) bool { return h.documents.TryAcquire(n) }

// LeaveDocuments gives n turns back.
func (h *Handler) LeaveDocuments(n int64) { h.documents.Release(n) }

// RenderedBytes is the weight of the rendered prefixes that are kept or in use.
func (h *Handler) RenderedBytes() int64 { return h.Load().RenderedBytes }

// Route is a row of the table of what is served.
type Route struct {
	Methods        []string
	Path           string
	Query, Headers []string
	HasBody, JSON  bool
}

// Routes returns the table of what is served.
func Routes() (list []Route) {
	for _, row := range routes {
		list = append(list, Route{row.methods, row.path, row.query, row.headers, row.body != noBody, row.body == jsonBody})
	}
	return list
}

// Meaningful are the headers of which a row lists those that it understands.
func Meaningful() []string { return meaningful }

// PathOf returns the path of the table that a request's path falls under, empty
// when none does, with what stands for its names.
func PathOf(path string) (pattern string, names map[string]string) {
	for _, one := range resources {
		to, ok, _ := one.match(path)
		if !ok {
			continue
		}
		names = map[string]string{}
		for i, name := range one.names {
			names[name] = []string{to.namespace, to.name}[i]
		}
		return one.routes[0].path, names
	}
	return "", nil
}

// Codes are all codes of problems with their statuses. In place of "invalid"
// stands what is invalid.
func Codes() map[string]int {
	codes := map[string]int{}
	for _, k := range declared {
		codes[k.code] = k.status
	}
	return codes
}

// IsInvalid tells whether a code stands for "invalid".
func IsInvalid(code string) bool { return strings.HasPrefix(code, kindInvalid.code+"_") }

// EncodedBytes is what the encodings that watches share take.
func (h *Handler) EncodedBytes() int64 { return h.Load().EncodedBytes }

// EncodingsMade is how many there have been.
func (h *Handler) EncodingsMade() int64 { return h.Load().Encodings }

// Idle is how many connections have no request.
func (c *Connections) Idle() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.idle.Len()
}
