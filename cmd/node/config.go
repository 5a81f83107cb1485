package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// maxConfigBytes bounds the configuration file.
const maxConfigBytes = 1 << 20

// readConfig sets the flags that a YAML file names and the command line does
// not.
func readConfig(path string, flags *pflag.FlagSet) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if info.Size() > maxConfigBytes {
		return fmt.Errorf("config: %s has %d bytes, at most %d are read", path, info.Size(), maxConfigBytes)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	settings, err := parseConfig(data)
	if err != nil {
		return fmt.Errorf("config: %s: %w", path, err)
	}
	for _, s := range settings {
		flag := flags.Lookup(s.name)
		if flag == nil || s.name == "config" || s.name == "help" || s.name == "version" {
			return fmt.Errorf("config: %s: line %d: there is no setting %q; node --help lists them all", path, s.line, s.name)
		}
		if flag.Changed {
			continue
		}
		if err := flags.Set(s.name, s.text); err != nil {
			return fmt.Errorf("config: %s: line %d: %s: %w", path, s.line, s.name, err)
		}
	}
	return nil
}

// setting is a setting of the file, with its value as one would write it on the
// command line.
type setting struct {
	name, text string
	line       int
}

// parseConfig reads the settings of one YAML document, each of which stands there once.
func parseConfig(data []byte) ([]setting, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("want one YAML document")
	}
	top := document.Content[0]
	switch {
	case isNull(top):
		return nil, nil
	case top.Kind != yaml.MappingNode:
		return nil, fmt.Errorf("line %d: want settings of the form name: value", top.Line)
	}
	var settings []setting
	lines := map[string]int{}
	for i := 0; i < len(top.Content); i += 2 {
		name, value := top.Content[i], top.Content[i+1]
		if name.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("line %d: a setting's name is one word", name.Line)
		}
		if first := lines[name.Value]; first != 0 {
			return nil, fmt.Errorf("line %d: %s stands in line %d already", name.Line, name.Value, first)
		}
		lines[name.Value] = name.Line
		text, err := flagText(value)
		if err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", name.Line, name.Value, err)
		}
		settings = append(settings, setting{name.Value, text, name.Line})
	}
	return settings, nil
}

// flagText writes a YAML value as one would on the command line.
func flagText(value *yaml.Node) (string, error) {
	switch {
	case isNull(value):
		return "", errors.New("has no value")
	case value.Kind == yaml.ScalarNode:
		return value.Value, nil
	case value.Kind != yaml.SequenceNode:
		return "", errors.New("want a plain value or a list, not a map or an alias")
	}
	parts := make([]string, len(value.Content))
	for i, one := range value.Content {
		if one.Kind != yaml.ScalarNode || isNull(one) {
			return "", fmt.Errorf("want a list of plain values, and item %d is none", i+1)
		}
		parts[i] = one.Value
	}
	return strings.Join(parts, ","), nil
}

func isNull(value *yaml.Node) bool { return value.Kind == yaml.ScalarNode && value.Tag == "!!null" }
