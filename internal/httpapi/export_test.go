package httpapi

// Serving returns the number of requests being served.
func (h *Handler) Serving() int64 { return h.serving.Load() }
