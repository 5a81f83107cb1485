package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/conclave-dev/conclave/pkg/config"
)

// maxSettingsBytes bounds the body that brings settings.
const maxSettingsBytes = 4 << 10

// settingsBody are the settings of the store. When they are written, one that is
// absent or 0 gets its default, and the feature level stays.
type settingsBody struct {
	QuotaBytes              int64  `json:"quotaBytes"`
	HistoryAgeMillis        uint64 `json:"historyAgeMillis"`
	HistoryRevisions        uint64 `json:"historyRevisions"`
	HistoryBytes            int64  `json:"historyBytes"`
	IdempotencyWindowMillis uint64 `json:"idempotencyWindowMillis"`
	FeatureLevel            uint64 `json:"featureLevel"`
}

// namespaceSettingsBody are the settings of a namespace.
type namespaceSettingsBody struct {
	QuotaBytes int64 `json:"quotaBytes"`
}

// writeSettings sends settings with their revision as the entity tag.
func writeSettings(w http.ResponseWriter, standing config.Standing, known *tagList, revision uint64, settings any) error {
	document, err := json.Marshal(settings)
	if err != nil {
		return fmt.Errorf("encode settings: %w", err)
	}
	return writeTagged(w, standing, known, etag(revision, formRaw), "application/json", document)
}

// getSettings serves GET of /v1/settings.
func (h *Handler) getSettings(w http.ResponseWriter, r *http.Request, to target) error {
	known, err := readTags(r.Header, "If-None-Match")
	if err != nil {
		return err
	}
	view, standing, err := h.viewFor(r, to)
	if err != nil {
		return fmt.Errorf("get settings: %w", err)
	}
	return writeSettings(w, standing, known, view.SettingsRevision, settingsBody(view.Settings))
}

// putSettings replaces the settings of the store.
func (h *Handler) putSettings(w http.ResponseWriter, r *http.Request, _ target) error {
	condition, err := precondition(r.Header)
	if err != nil {
		return err
	}
	var body settingsBody
	if err := h.readJSON(r, maxSettingsBytes, &body); err != nil {
		return err
	}
	result, err := h.writeStoreSettings(r, config.PutSettings{Settings: config.Settings(body), If: condition})
	if err != nil {
		return refused(result, err)
	}
	setStanding(w.Header(), written(result))
	w.Header()["Etag"] = []string{etag(result.Revision, formRaw)}
	setLength(w.Header(), 0)
	return nil
}

// deleteSettings gives the store the default settings.
func (h *Handler) deleteSettings(w http.ResponseWriter, r *http.Request, _ target) error {
	condition, err := precondition(r.Header)
	if err != nil {
		return err
	}
	result, err := h.writeStoreSettings(r, config.PutSettings{If: condition})
	if err != nil {
		return refused(result, err)
	}
	setStanding(w.Header(), written(result))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) writeStoreSettings(r *http.Request, put config.PutSettings) (config.Result, error) {
	ctx, cancel := context.WithTimeout(r.Context(), h.WriteTimeout)
	defer cancel()
	return h.Store.PutSettings(ctx, put)
}

// getNamespaceSettings serves GET of /v1/settings/{namespace}.
func (h *Handler) getNamespaceSettings(w http.ResponseWriter, r *http.Request, to target) error {
	known, err := readTags(r.Header, "If-None-Match")
	if err != nil {
		return err
	}
	view, standing, err := h.viewFor(r, to)
	if err != nil {
		return fmt.Errorf("get the settings of %s: %w", to.namespace, err)
	}
	namespace := view.Namespace(to.namespace)
	if namespace.SettingsRevision == 0 {
		return &absentError{standing: standing, etag: etag(0, formRaw), what: noSettings(to)}
	}
	return writeSettings(w, standing, known, namespace.SettingsRevision, namespaceSettingsBody(namespace.Settings))
}

func noSettings(to target) error {
	return errNoSettings.because("%s has no settings of its own", to.namespace)
}

// putNamespaceSettings replaces the settings of a namespace, which need not have
// any keys.
func (h *Handler) putNamespaceSettings(w http.ResponseWriter, r *http.Request, to target) error {
	condition, err := precondition(r.Header)
	if err != nil {
		return err
	}
	var body namespaceSettingsBody
	if err := h.readJSON(r, maxSettingsBytes, &body); err != nil {
		return err
	}
	if body.QuotaBytes == 0 {
		return errMalformed.because("the body: quotaBytes must be given; to have no settings, DELETE them")
	}
	result, err := h.writeNamespaceSettings(r, to, config.NamespaceSettings(body), condition)
	if err != nil {
		return refused(result, err)
	}
	writtenOver(w, result)
	return nil
}

// deleteNamespaceSettings takes the settings of a namespace away.
func (h *Handler) deleteNamespaceSettings(w http.ResponseWriter, r *http.Request, to target) error {
	condition, err := precondition(r.Header)
	if err != nil {
		return err
	}
	result, err := h.writeNamespaceSettings(r, to, config.NamespaceSettings{}, condition)
	if errors.Is(err, config.ErrNotFound) {
		return refused(result, noSettings(to))
	}
	if err != nil {
		return refused(result, err)
	}
	setStanding(w.Header(), written(result))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) writeNamespaceSettings(r *http.Request, to target, settings config.NamespaceSettings, condition config.Precondition) (config.Result, error) {
	ctx, cancel := context.WithTimeout(r.Context(), h.WriteTimeout)
	defer cancel()
	return h.Store.PutNamespaceSettings(ctx, config.PutNamespaceSettings{Namespace: to.namespace, NamespaceSettings: settings, If: condition})
}

// usageBody is what the store holds, beside what it may.
type usageBody struct {
	Keys  int   `json:"keys"`
	Bytes int64 `json:"bytes"`
	// QuotaBytes is what Bytes may come to.
	QuotaBytes        int64  `json:"quotaBytes"`
	HistoryBytes      int64  `json:"historyBytes"`
	HistoryQuotaBytes int64  `json:"historyQuotaBytes"`
	OldestRevision    uint64 `json:"oldestRevision"`
	IdempotencyKeys   int    `json:"idempotencyKeys"`
}

// namespaceUsageBody is what a namespace holds, beside what it may.
type namespaceUsageBody struct {
	Namespace string `json:"namespace"`
	Keys      int    `json:"keys"`
	Bytes     int64  `json:"bytes"`
	// QuotaBytes is absent where only the store's quota holds.
	QuotaBytes int64 `json:"quotaBytes,omitempty"`
	Schemas    int   `json:"schemas"`
}

// getUsage serves GET of /v1/usage.
func (h *Handler) getUsage(w http.ResponseWriter, r *http.Request, to target) error {
	view, standing, err := h.viewFor(r, to)
	if err != nil {
		return fmt.Errorf("get usage: %w", err)
	}
	return writeJSON(w, standing, usageBody{
		Keys: view.Keys, Bytes: view.LiveBytes, QuotaBytes: view.Settings.QuotaBytes, HistoryBytes: view.HistoryBytes,
		HistoryQuotaBytes: view.Settings.HistoryBytes, OldestRevision: view.Oldest(), IdempotencyKeys: view.KeptResults,
	})
}

// getNamespaceUsage serves GET of /v1/usage/{namespace}.
func (h *Handler) getNamespaceUsage(w http.ResponseWriter, r *http.Request, to target) error {
	view, standing, err := h.viewFor(r, to)
	if err != nil {
		return fmt.Errorf("get the usage of %s: %w", to.namespace, err)
	}
	n := view.Namespace(to.namespace)
	return writeJSON(w, standing, namespaceUsageBody{
		Namespace: n.Name, Keys: n.Keys, Bytes: n.Bytes, QuotaBytes: n.Settings.QuotaBytes, Schemas: n.Schemas,
	})
}
