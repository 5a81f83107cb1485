package config

import (
	"bytes"
	"fmt"
)

// MergePatch applies a JSON merge patch (RFC 7396) to a JSON value and returns
// the new value. Numbers keep all their digits; members come out sorted by
// name, without insignificant space, so the same document always has the same
// bytes.
//
// It returns an InvalidError when the value or the patch is no JSON or exceeds
// the limits of documents, and ErrTooLarge when the result is no value any
// more.
func MergePatch(value []byte, mediaType string, patch []byte) ([]byte, error) {
	if syntaxOf(mediaType) != syntaxJSON {
		return nil, invalid("value", "a merge patch applies to JSON, and its media type is %q", mediaType)
	}
	if err := checkValue(patch); err != nil {
		return nil, fmt.Errorf("merge patch: %w", err)
	}
	target, err := decodeJSON(value)
	if err != nil {
		return nil, invalid("value", "%v", err)
	}
	change, err := decodeJSON(patch)
	if err != nil {
		return nil, invalid("merge patch", "%v", err)
	}
	merged, err := encodeJSON(mergePatch(target, change))
	if err != nil {
		return nil, fmt.Errorf("merge patch: %w", err)
	}
	merged = bytes.TrimSuffix(merged, []byte("\n"))
	return merged, checkValue(merged)
}

// mergePatch is the function of RFC 7396, section 2. It may change target.
func mergePatch(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	object, ok := target.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	for name, change := range changes {
		if change == nil {
			delete(object, name)
		} else {
			object[name] = mergePatch(object[name], change)
		}
	}
	return object
}
