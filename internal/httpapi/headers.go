package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/conclave-dev/conclave/pkg/config"
)

// Header values that are the same every time are made once. Nothing writes to
// them: a Header replaces or appends to a slice, it doesn't change one.
var (
	noSniff         = []string{"nosniff"}
	sandbox         = []string{"sandbox"}
	noCache         = []string{"private, no-cache"}
	varyAccept      = []string{"Accept"}
	closeConnection = []string{"close"}
	dryRunOn        = []string{"1"}
	leaderKnown     = []string{"known"}
	leaderGone      = []string{"unknown"}

	levelValues = map[config.Level][]string{
		config.Linear:  {config.Linear.String()},
		config.Session: {config.Session.String()},
		config.Bounded: {config.Bounded.String()},
		config.Local:   {config.Local.String()},
	}
)

// setAlways sets the headers of every reply: what is stored here is data, and
// no browser may take it for a page of ours.
func setAlways(header http.Header) {
	header["X-Content-Type-Options"] = noSniff
	header["Content-Security-Policy"] = sandbox
	header["Cache-Control"] = noCache
}

// setStanding says what the answer is worth.
func setStanding(header http.Header, s config.Standing) {
	header["Conclave-Revision"] = []string{strconv.FormatUint(s.Revision, 10)}
	header["Conclave-Consistency"] = levelValues[s.Level]
	header["Conclave-Leader"] = leaderGone
	if s.LeaderKnown {
		header["Conclave-Leader"] = leaderKnown
	}
	if s.Level == config.Local || s.Level == config.Bounded {
		header["Conclave-Staleness-Ms"] = []string{stalenessMillis(s.Staleness)}
	}
}

// stalenessMillis rounds up, so that nothing is shown fresher than it is.
func stalenessMillis(d time.Duration) string {
	if d == config.NeverFresh {
		return "unknown"
	}
	millis := (d + time.Millisecond - 1) / time.Millisecond
	return strconv.FormatInt(int64(millis), 10)
}
