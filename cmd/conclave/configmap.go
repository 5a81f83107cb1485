package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
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
	APIVersion string            `json:"apiVersion" yaml:"apiVersion"`
	Kind       string            `json:"kind" yaml:"kind"`
	Metadata   *metadata         `json:"metadata,omitempty" yaml:"metadata"`
	Data       map[string]text   `json:"data,omitempty" yaml:"data"`
	BinaryData map[string]binary `json:"binaryData,omitempty" yaml:"binaryData"`
	Items      []manifest        `json:"items,omitempty" yaml:"items"`
}

type metadata struct {
	Name        string          `json:"name" yaml:"name"`
	Annotations map[string]text `json:"annotations,omitempty" yaml:"annotations"`
}

// text is a string that is one in YAML too, since of 010 or yes nobody knows what was
// meant. Kubernetes wants it so.
type text string

// UnmarshalYAML refuses numbers and the like.
func (t *text) UnmarshalYAML(node *yaml.Node) error {
	if node.ShortTag() != "!!str" {
		return fmt.Errorf("line %d: it is no string: put it in quotes", node.Line)
	}
	*t = text(node.Value)
	return nil
}

// binary is base64 in a manifest.
type binary []byte

// UnmarshalYAML decodes it.
func (b *binary) UnmarshalYAML(node *yaml.Node) (err error) {
	if *b, err = base64.StdEncoding.DecodeString(node.Value); err != nil || node.ShortTag() != "!!str" {
		return fmt.Errorf("line %d: it is no base64", node.Line)
	}
	return nil
}

// configMap gathers keys for one ConfigMap.
type configMap struct {
	out   io.Writer
	name  string
	bytes int
	types mediaTypes
	made  manifest
}

func (c *configMap) take(i item) error {
	if !configMapName.MatchString(i.key) || i.key == "." || i.key == ".." {
		return fmt.Errorf("%q can't be a name in a ConfigMap, which has letters, digits, -, _ and . alone: choose keys with --prefix", i.key)
	}
	if c.bytes += len(i.key) + len(i.value); c.bytes > configMapBytesMax {
		return fmt.Errorf("the keys are more than a ConfigMap holds, %d bytes: choose fewer with --prefix", configMapBytesMax)
	}
	c.types.note(i)
	if !utf8.Valid(i.value) {
		if c.made.BinaryData == nil {
			c.made.BinaryData = map[string]binary{}
		}
		c.made.BinaryData[i.key] = i.value
		return nil
	}
	if c.made.Data == nil {
		c.made.Data = map[string]text{}
	}
	c.made.Data[i.key] = text(i.value)
	return nil
}

func (c *configMap) finish() error {
	c.made.APIVersion, c.made.Kind, c.made.Metadata = "v1", "ConfigMap", &metadata{Name: c.name}
	if len(c.types) > 0 {
		types, err := json.Marshal(c.types)
		if err != nil {
			return err
		}
		if len(types) > annotationBytesMax {
			return fmt.Errorf("the media types are more than annotations hold, %d bytes: choose fewer keys with --prefix", annotationBytesMax)
		}
		c.made.Metadata.Annotations = map[string]text{typesAnnotation: text(types)}
	}
	made, err := json.Marshal(c.made)
	if err != nil {
		return err
	}
	if made, err = writeYAML(made); err != nil {
		return err
	}
	_, err = c.out.Write(made)
	return err
}

// loadConfigMaps reads ConfigMaps from YAML or JSON, several documents or lists of
// them.
func loadConfigMaps(load *cargo, from io.Reader, name string) error {
	all, err := readAll(from, name)
	if err != nil {
		return err
	}
	documents := yaml.NewDecoder(bytes.NewReader(all))
	for number := 1; number <= manifestsMax; number++ {
		at := fmt.Sprintf("%s, document %d", name, number)
		var found yaml.Node
		if err := documents.Decode(&found); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: not YAML: %w", at, withoutText(err))
		}
		if len(found.Content) == 1 && found.Content[0].ShortTag() == "!!null" {
			continue // between two separators
		}
		made := new(manifest)
		if err := found.Decode(made); err != nil {
			return fmt.Errorf("%s: not a Kubernetes manifest: %w", at, withoutText(err))
		}
		if err := made.load(load, at); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s has more than %d documents", name, manifestsMax)
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
	var types mediaTypes
	if m.Metadata != nil {
		if m.Metadata.Name != "" {
			at += ", ConfigMap " + m.Metadata.Name
		}
		if text, there := m.Metadata.Annotations[typesAnnotation]; there {
			var err error
			if types, err = readTypes([]byte(text), at+", annotation "+typesAnnotation); err != nil {
				return err
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(m.Data)) {
		if err := load.add(item{key: key, value: []byte(m.Data[key]), mediaType: types[key], from: at}); err != nil {
			return err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(m.BinaryData)) {
		if err := load.add(item{key: key, value: m.BinaryData[key], mediaType: types[key], from: at}); err != nil {
			return err
		}
	}
	return nil
}
