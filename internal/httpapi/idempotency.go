package httpapi

import (
	"net/http"

	"github.com/conclave-dev/conclave/pkg/config"
)

// readIdempotencyKey reads the header Idempotency-Key, empty when there is none.
// It is taken as it stands, quotes included.
func readIdempotencyKey(header http.Header) (string, error) {
	lines := header["Idempotency-Key"]
	switch len(lines) {
	case 0:
		return "", nil
	case 1:
		return lines[0], config.CheckIdempotencyKey(lines[0])
	default:
		return "", errMalformed.because("Idempotency-Key is given %d times", len(lines))
	}
}

// checkDryRun refuses a dry run with an idempotency key: there is no result that
// could be kept.
func checkDryRun(dryRun bool, idempotency string) error {
	if dryRun && idempotency != "" {
		return errUnsupported.because("header Idempotency-Key isn't offered with dry-run")
	}
	return nil
}
