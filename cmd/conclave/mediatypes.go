package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

const (
	// typesFile is the file of a directory, and typesAnnotation the annotation of a
	// ConfigMap, that tells media types.
	typesFile       = ".conclave-types.json"
	typesAnnotation = "conclave.dev/media-types"
	// annotationBytesMax is what Kubernetes takes for all annotations of an object.
	annotationBytesMax = 256 << 10
)

// mediaTypes are those that names and values don't tell, by the names of keys, where
// the form of an export has no place for them beside the values.
type mediaTypes map[string]string

// note keeps an item's media type, unless an import guesses it.
func (m *mediaTypes) note(i item) {
	if i.mediaType == guessType(i.key, i.value) {
		return
	}
	if *m == nil {
		*m = mediaTypes{}
	}
	(*m)[i.key] = i.mediaType
}

// readTypes reads them from a text.
func readTypes(text []byte, at string) (types mediaTypes, err error) {
	if err := json.Unmarshal(text, &types); err != nil {
		return nil, fmt.Errorf("%s: want an object of media types by keys: %w", at, withoutValue(err))
	}
	return types, nil
}

// readTypesFile reads them from the file of a directory, if it has one.
func readTypesFile(root *os.Root, at string) (mediaTypes, error) {
	file, err := root.Open(typesFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	text, err := readAll(&limited{from: file, left: importBytesMax}, at)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	return readTypes(text, at)
}
