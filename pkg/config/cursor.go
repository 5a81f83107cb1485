package config

import "encoding/base64"

// cursorFields is what a cursor carries, encoded like a command and then as
// base64url. Append only; the array's length tells the version.
type cursorFields struct {
	Namespace string
	Prefix    string
	Delimiter string
	// Last is the last item of the page before.
	Last string
	// Revision is that of the whole listing.
	Revision uint64
}

const (
	cursorFieldCount = 5
	// maxCursorBytes bounds a cursor in its encoded form.
	maxCursorBytes = (MaxNamespaceBytes+2*MaxKeyBytes+32)*4/3 + 4
)

func (c *cursorFields) encode() (string, error) {
	data, err := appendEncoded(nil, c)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(data), nil
}

// decodeCursor reads a cursor that must continue a listing with these options.
func decodeCursor(namespace string, o ListOptions) (cursorFields, error) {
	var c cursorFields
	if len(o.Cursor) > maxCursorBytes {
		return c, invalid("cursor", "it has %d bytes and may have %d", len(o.Cursor), maxCursorBytes)
	}
	data, err := base64.RawURLEncoding.DecodeString(o.Cursor)
	if err != nil {
		return c, invalid("cursor", "%v", err)
	}
	if err := decodeFields(data, cursorFieldCount, &c); err != nil {
		return c, invalid("cursor", "it was not made here: %v", err)
	}
	if c.Namespace != namespace || c.Prefix != o.Prefix || c.Delimiter != o.Delimiter {
		return c, invalid("cursor", "it continues another listing, of namespace %q, prefix %q, delimiter %q",
			c.Namespace, c.Prefix, c.Delimiter)
	}
	if err := CheckPrefix(c.Last); err != nil {
		return c, invalid("cursor", "%v", err)
	}
	return c, nil
}
