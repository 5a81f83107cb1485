package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/conclave-dev/conclave/pkg/config"
)

// maxQueryBytes bounds the query: the longest prefix and cursor, every byte of
// them percent-encoded.
const maxQueryBytes = 8 << 10

// readQuery parses the query and refuses parameters that aren't among allowed,
// since one that is ignored would change the meaning of a request in silence.
// It returns nil for the usual request, which has none.
func readQuery(r *http.Request, allowed ...string) (url.Values, error) {
	if r.URL.RawQuery == "" {
		return nil, nil
	}
	if len(r.URL.RawQuery) > maxQueryBytes {
		return nil, errMalformed.because("the query has %d bytes and may have %d", len(r.URL.RawQuery), maxQueryBytes)
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, errMalformed.because("query: %v", err)
	}
	for name, values := range query {
		if !slices.Contains(allowed, name) {
			offered := "none is"
			if len(allowed) > 0 {
				offered = strings.Join(allowed, ", ") + " are"
			}
			return nil, errUnsupported.because("query parameter %.80q isn't offered on %s here; %s", name, r.Method, offered)
		}
		if len(values) > 1 {
			return nil, errMalformed.because("query parameter %s is given %d times", name, len(values))
		}
	}
	return query, nil
}

// flag reads a parameter that is switched on by 1.
func flag(query url.Values, name string) (bool, error) {
	if !query.Has(name) {
		return false, nil
	}
	if value := query.Get(name); value != "1" {
		return false, errMalformed.because("query parameter %s is %.80q and can only be 1", name, value)
	}
	return true, nil
}

// readRevision reads the revision that an answer must be as of, 0 for the newest.
func readRevision(query url.Values) (uint64, error) {
	if !query.Has("revision") {
		return 0, nil
	}
	revision, err := strconv.ParseUint(query.Get("revision"), 10, 64)
	if err != nil || revision == 0 {
		return 0, errMalformed.because("revision %.80q is not a revision, a number from 1 on", query.Get("revision"))
	}
	return revision, nil
}

// readParameters are the query parameters that readOptions understands.
var readParameters = []string{"consistency", "min-revision", "max-staleness"}

// readOptions reads how fresh an answer must be.
func readOptions(query url.Values) (config.ReadOptions, error) {
	var o config.ReadOptions
	switch name := query.Get("consistency"); {
	case !query.Has("consistency") || name == "linear":
		o.Level = config.Linear
	case name == "session":
		o.Level = config.Session
	case name == "bounded":
		o.Level = config.Bounded
	case name == "local":
		o.Level = config.Local
	default:
		return o, errUnsupported.because("consistency %.80q isn't offered: linear, session, bounded and local are", name)
	}
	if query.Has("min-revision") != (o.Level == config.Session) {
		return o, errMalformed.because("consistency=session and min-revision need each other")
	}
	if query.Has("max-staleness") != (o.Level == config.Bounded) {
		return o, errMalformed.because("consistency=bounded and max-staleness need each other")
	}
	var err error
	switch o.Level {
	case config.Session:
		if o.MinRevision, err = strconv.ParseUint(query.Get("min-revision"), 10, 64); err != nil {
			return o, errMalformed.because("min-revision %.80q is not a revision", query.Get("min-revision"))
		}
	case config.Bounded:
		o.MaxStaleness, err = time.ParseDuration(query.Get("max-staleness"))
		if err != nil || o.MaxStaleness < 0 {
			return o, errMalformed.because("max-staleness %.80q is not a duration such as 2s", query.Get("max-staleness"))
		}
	}
	return o, nil
}
