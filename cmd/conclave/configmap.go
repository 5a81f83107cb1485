package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
)

const (
	// configMapBytesMax is the most that a ConfigMap holds, and
	// manifestsMax how many documents an import reads.
	configMapBytesMax = 1 << 20
	manifestsMax      = 10_000
)

// configMapName is what Kubernetes takes for a name in a ConfigMap.
var configMapName = regexp.MustCompile(`^[-._a-zA-Z0-9]{1,253}$`)

// manifest is what counts of a Kubernetes object here.
type manifest struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   *metadata         `json:"metadata,omitempty"`
	Data       map[string]string `json:"data,omitempty"`
	BinaryData map[string][]byte `json:"binaryData,omitempty"`
	Items      []manifest        `json:"items,omitempty"`
}

type metadata struct {
	Name string `json:"name"`
}

// configMap gathers keys for one ConfigMap.
type configMap struct {
	out   io.Writer
	name  string
	bytes int
	made  manifest
}

func (c *configMap) take(i item) error {
	if !configMapName.MatchString(i.key) || i.key == "." || i.key == ".." {
		return fmt.Errorf("%q can't be a name in a ConfigMap, which has letters, digits, -, _ and . alone: choose keys with --prefix", i.key)
	}
	if c.bytes += len(i.key) + len(i.value); c.bytes > configMapBytesMax {
		return fmt.Errorf("the keys are more than a ConfigMap holds, %d bytes: choose fewer with --prefix", configMapBytesMax)
	}
	if !utf8.Valid(i.value) {
		if c.made.BinaryData == nil {
			c.made.BinaryData = map[string][]byte{}
		}
		c.made.BinaryData[i.key] = i.value
		return nil
	}
	if c.made.Data == nil {
		c.made.Data = map[string]string{}
	}
	c.made.Data[i.key] = string(i.value)
	return nil
}

func (c *configMap) finish() error {
	c.made.APIVersion, c.made.Kind, c.made.Metadata = "v1", "ConfigMap", &metadata{c.name}
	text, err := json.Marshal(c.made)
	if err != nil {
		return err
	}
	if text, err = yaml.JSONToYAML(text); err != nil {
		return fmt.Errorf("write YAML: %w", err)
	}
	_, err = c.out.Write(text)
	return err
}

// loadConfigMaps reads ConfigMaps from YAML or JSON, several documents or lists of
// them.
func loadConfigMaps(load *cargo, from io.Reader, name string) error {
	text, err := readAll(from, name)
	if err != nil {
		return err
	}
	documents := yaml.NewDecoder(bytes.NewReader(text))
	for number := 1; number <= manifestsMax; number++ {
		at := fmt.Sprintf("%s, document %d", name, number)
		var found any
		if err := documents.Decode(&found); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			reason, _, _ := strings.Cut(err.Error(), "\n") // the rest quotes the text
			return fmt.Errorf("%s: not YAML: %s", at, reason)
		}
		if found == nil {
			continue // between two separators
		}
		made, err := newManifest(found)
		if err != nil {
			return fmt.Errorf("%s: not a Kubernetes manifest: %w", at, err)
		}
		if err := made.load(load, at); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s has more than %d documents", name, manifestsMax)
}

// newManifest reads what a document of YAML says, by the rules of JSON, as
// Kubernetes does.
func newManifest(document any) (*manifest, error) {
	text, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	made := new(manifest)
	if err := json.Unmarshal(text, made); err != nil {
		return nil, withoutValue(err)
	}
	return made, nil
}

// load takes the keys of a ConfigMap, or of those in a list.
func (m *manifest) load(load *cargo, at string) error {
	if m.Kind == "List" || m.Kind == "ConfigMapList" {
		for n := range m.Items {
			if err := m.Items[n].load(load, fmt.Sprintf("%s, item %d", at, n+1)); err != nil {
				return err
			}
		}
		return nil
	}
	if m.Kind != "ConfigMap" || m.APIVersion != "v1" {
		return fmt.Errorf("%s: it is a %q of %q and not a ConfigMap of v1", at, m.Kind, m.APIVersion)
	}
	if m.Metadata != nil {
		at += ", ConfigMap " + m.Metadata.Name
	}
	for _, key := range slices.Sorted(maps.Keys(m.Data)) {
		if err := load.add(item{key: key, value: []byte(m.Data[key]), from: at}); err != nil {
			return err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(m.BinaryData)) {
		if err := load.add(item{key: key, value: m.BinaryData[key], from: at}); err != nil {
			return err
		}
	}
	return nil
}
