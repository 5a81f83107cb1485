package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Settings are what the whole store keeps to, on all nodes alike. When they are
// written, one that is 0 gets its default, and a FeatureLevel of 0 stays as it is.
type Settings struct {
	// QuotaBytes bounds the live keys and values of all namespaces together.
	QuotaBytes int64 `json:"quotaBytes,omitempty"`
	// HistoryAgeMillis and HistoryRevisions are how much history is kept: as much as
	// the one that reaches further back says, within HistoryBytes.
	HistoryAgeMillis uint64 `json:"historyAgeMillis,omitempty"`
	HistoryRevisions uint64 `json:"historyRevisions,omitempty"`
	HistoryBytes     int64  `json:"historyBytes,omitempty"`
	// IdempotencyWindowMillis is how long the answers to writes with an idempotency
	// key are kept at least.
	IdempotencyWindowMillis uint64 `json:"idempotencyWindowMillis,omitempty"`
	// FeatureLevel is what all nodes understand; it can only be raised.
	FeatureLevel uint64 `json:"featureLevel,omitempty"`
	// Revision is the one that last set them, 0 when nobody has. It isn't written.
	Revision uint64 `json:"revision,omitempty"`
}

// NamespaceSettings are what one namespace keeps to, besides the store's.
type NamespaceSettings struct {
	// QuotaBytes bounds its live keys and values.
	QuotaBytes int64 `json:"quotaBytes"`
	// Revision is the one that last set them. It isn't written.
	Revision uint64 `json:"revision,omitempty"`
}

// SettingsOptions say on which condition settings are written.
type SettingsOptions struct {
	// IfRevision, if not 0, writes only if that is the revision of the settings now;
	// IfUnset only if there are none yet, or nobody has ever set those of the
	// store. ErrChanged otherwise. At most one of the two may be set.
	IfRevision uint64
	IfUnset    bool
}

// storeSettings is the path of the settings of the store, below which are those of
// namespaces.
const storeSettings = "/v1/settings"

// Settings reads the settings of the store.
func (c *Client) Settings(ctx context.Context, o ReadOptions) (*Settings, error) {
	settings := new(Settings)
	revision, err := c.readSettings(ctx, storeSettings, o, settings)
	if err != nil {
		return nil, err
	}
	settings.Revision = revision
	return settings, nil
}

// PutSettings replaces the settings of the store, and returns the store's revision
// that this made. On any error, see Error.Outcome.
func (c *Client) PutSettings(ctx context.Context, settings Settings, o SettingsOptions) (revision uint64, err error) {
	settings.Revision = 0
	return c.putSettings(ctx, storeSettings, settings, o)
}

// ResetSettings gives the store the default settings, and returns the store's
// revision that this made.
func (c *Client) ResetSettings(ctx context.Context, o SettingsOptions) (revision uint64, err error) {
	return c.writeSettings(ctx, call{method: http.MethodDelete, path: storeSettings, header: http.Header{}}, o)
}

// NamespaceSettings reads the settings of a namespace; ErrNotFound when it has none
// of its own.
func (c *Client) NamespaceSettings(ctx context.Context, namespace string, o ReadOptions) (*NamespaceSettings, error) {
	path, err := namespacePath(storeSettings, namespace)
	if err != nil {
		return nil, err
	}
	settings := new(NamespaceSettings)
	revision, err := c.readSettings(ctx, path, o, settings)
	if err != nil {
		return nil, err
	}
	settings.Revision = revision
	return settings, nil
}

// PutNamespaceSettings replaces the settings of a namespace, which need not have any
// keys, and returns the store's revision that this made.
func (c *Client) PutNamespaceSettings(ctx context.Context, namespace string, settings NamespaceSettings, o SettingsOptions) (revision uint64, err error) {
	path, err := namespacePath(storeSettings, namespace)
	if err != nil {
		return 0, err
	}
	settings.Revision = 0
	return c.putSettings(ctx, path, settings, o)
}

// DeleteNamespaceSettings takes the settings of a namespace away, and returns the
// store's revision that this made; ErrNotFound when it has none.
func (c *Client) DeleteNamespaceSettings(ctx context.Context, namespace string, o SettingsOptions) (revision uint64, err error) {
	path, err := namespacePath(storeSettings, namespace)
	if err != nil {
		return 0, err
	}
	return c.writeSettings(ctx, call{method: http.MethodDelete, path: path, header: http.Header{}}, o)
}

// readSettings reads settings, and the revision that set them.
func (c *Client) readSettings(ctx context.Context, path string, o ReadOptions, into any) (revision uint64, err error) {
	reply, err := c.read(ctx, path, o, into)
	if err != nil {
		return 0, err
	}
	if revision, err = readETag(reply.header.Get("ETag")); err != nil {
		return 0, reply.unreadable(call{method: http.MethodGet, path: path}, err)
	}
	return revision, nil
}

func (c *Client) putSettings(ctx context.Context, path string, settings any, o SettingsOptions) (uint64, error) {
	body, err := json.Marshal(settings)
	if err != nil {
		return 0, fmt.Errorf("client: settings: %w", err)
	}
	put := call{method: http.MethodPut, path: path, header: http.Header{"Content-Type": {"application/json"}}, body: body}
	return c.writeSettings(ctx, put, o)
}

func (c *Client) writeSettings(ctx context.Context, write call, o SettingsOptions) (uint64, error) {
	return c.write(ctx, write, precondition{revision: o.IfRevision, absent: o.IfUnset})
}

// namespacePath returns the path of what a namespace has below another path.
func namespacePath(path, namespace string) (string, error) {
	if namespace == "" {
		return "", errors.New("client: a namespace is needed")
	}
	return path + "/" + escapeSegment(namespace), nil
}
