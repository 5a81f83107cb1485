package opsapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/conclave-dev/conclave/internal/admin"
)

// Steward does what a node is told to do. Its methods are called concurrently
// and return when ctx ends. A refusal is an *admin.Problem, which is passed on as
// it is; any other error is a failure of the node.
type Steward interface {
	// ChangeMembership changes the membership, if this node leads, and returns
	// when the change is complete.
	ChangeMembership(ctx context.Context, change admin.Change) (admin.Membership, error)
	// TransferLeadership makes this leader hand over to the named voter, or to
	// the best prepared, and returns once it has.
	TransferLeadership(ctx context.Context, target string) (admin.Transfer, error)
	// TakeSnapshot returns once a snapshot of all that is applied is on disk.
	TakeSnapshot(ctx context.Context) (admin.Snapshot, error)
	// Verify reads what is on the disk.
	Verify(ctx context.Context) (admin.Verification, error)
}

// verbsMax bounds the verbs under way. The status is none of them.
const verbsMax = 16

// A verb is what a request asks the steward to do. It returns what is answered
// with 200.
type verb func(ctx context.Context, r *http.Request) (any, error)

// registerVerbs serves what changes something, or takes long.
func (a *api) registerVerbs(mux *http.ServeMux) {
	post, remove := []string{http.MethodPost}, []string{http.MethodDelete}
	mux.HandleFunc("/admin/v1/members", a.steering(only(post, a.carryOut(a.addLearner))))
	mux.HandleFunc("/admin/v1/members/{id}", a.steering(only(remove, a.carryOut(a.remove))))
	mux.HandleFunc("/admin/v1/members/{id}/promote", a.steering(only(post, a.carryOut(a.promote))))
	mux.HandleFunc("/admin/v1/transfer", a.authorized(only(post, a.carryOut(a.transfer))))
	mux.HandleFunc("/admin/v1/snapshot", a.authorized(only(post, a.carryOut(a.snapshot))))
	mux.HandleFunc("/admin/v1/verify", a.authorized(only(post, a.carryOut(a.verify))))
}

func (a *api) addLearner(ctx context.Context, r *http.Request) (any, error) {
	change := admin.Change{Kind: admin.AddLearner}
	if err := decodeBody(r, &change.Member); err != nil {
		return nil, err
	}
	return a.change(ctx, r, change)
}

func (a *api) promote(ctx context.Context, r *http.Request) (any, error) {
	return a.change(ctx, r, admin.Change{Kind: admin.Promote, Member: admin.NewMember{MemberID: r.PathValue("id")}})
}

func (a *api) remove(ctx context.Context, r *http.Request) (any, error) {
	return a.change(ctx, r, admin.Change{Kind: admin.Remove, Member: admin.NewMember{MemberID: r.PathValue("id")}})
}

// change makes a change for the membership that If-Match names, if it does.
func (a *api) change(ctx context.Context, r *http.Request, change admin.Change) (any, error) {
	if header := r.Header.Get("If-Match"); header != "" {
		index, err := strconv.ParseUint(strings.Trim(header, `"`), 10, 64)
		if err != nil || index == 0 || header != `"`+strconv.FormatUint(index, 10)+`"` {
			return nil, malformed(`If-Match: want the membershipIndex of a status in quotes, such as "17", not %.40q`, header)
		}
		change.IfIndex = index
	}
	return a.steward.ChangeMembership(ctx, change)
}

func (a *api) transfer(ctx context.Context, r *http.Request) (any, error) {
	var wanted admin.TransferRequest
	if err := decodeBody(r, &wanted); err != nil {
		return nil, err
	}
	return a.steward.TransferLeadership(ctx, wanted.Target)
}

func (a *api) snapshot(ctx context.Context, _ *http.Request) (any, error) {
	return a.steward.TakeSnapshot(ctx)
}

func (a *api) verify(ctx context.Context, _ *http.Request) (any, error) { return a.steward.Verify(ctx) }

// carryOut runs a verb within its time and answers with what it returns. A caller
// that goes away ends the wait, not what was begun.
func (a *api) carryOut(do verb) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case a.verbs <- struct{}{}:
			defer func() { <-a.verbs }()
		default:
			refuse(w, admin.Problem{
				Status: http.StatusServiceUnavailable, Code: "overloaded", Retryable: true,
				Title:  "The node has too much to do",
				Detail: fmt.Sprintf("%d such requests are under way", verbsMax),
			})
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), a.verbTimeout)
		defer cancel()
		answer, err := do(ctx, r)
		log := r.Context().Value(logKey{}).(*slog.Logger) //nolint:forcetypeassert // authorized has put it there
		if err != nil {
			log.Warn("admin request not carried out", "error", err)
			refuse(w, problemOf(err))
			return
		}
		log.Info("admin request carried out")
		w.Header().Set("Content-Type", "application/json")
		writeJSON(w, http.StatusOK, answer)
	}
}

// problemOf returns what an error of the steward is answered with.
func problemOf(err error) admin.Problem {
	if problem := (*admin.Problem)(nil); errors.As(err, &problem) {
		return *problem
	}
	return admin.Problem{
		Status: http.StatusInternalServerError, Code: "internal", Outcome: admin.OutcomeUnknown,
		Title: "The node failed", Detail: err.Error(),
	}
}

// decodeBody reads a JSON object with no other fields than those of value.
func decodeBody(r *http.Request, value any) error {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		return &admin.Problem{
			Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type",
			Title: "The body must be JSON", Detail: "send it with Content-Type: application/json",
		}
	}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(value); err != nil {
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			return &admin.Problem{
				Status: http.StatusRequestEntityTooLarge, Code: "too_large", Title: "The body is too large",
				Detail: fmt.Sprintf("it may have %d bytes", tooLarge.Limit),
			}
		}
		return malformed("the body is not what is expected here: %v", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return malformed("the body goes on behind the JSON object")
	}
	return nil
}

func malformed(detail string, args ...any) error {
	return &admin.Problem{
		Status: http.StatusBadRequest, Code: "malformed", Title: "The request can't be read",
		Detail: fmt.Sprintf(detail, args...),
	}
}
