package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// decodeYAML reads one YAML document that has a counterpart in JSON. Scalars
// are what the library takes them for, which is the core schema of YAML 1.2,
// with 0b, leading zeros and underscores as in 1.1; a timestamp is a string.
// Aliases and merge keys (<<) are resolved. Names may be written as strings,
// numbers or booleans, and are their text. Custom and binary tags, infinity,
// a second document and a name that stands twice are refused.
func decodeYAML(value []byte) (any, error) {
	if len(value) > MaxYAMLBytes {
		return nil, badDocument("a YAML document may have %d bytes and it has %d", MaxYAMLBytes, len(value))
	}
	if !utf8.Valid(value) {
		return nil, badDocument("it is not UTF-8")
	}
	parser := yaml.NewDecoder(bytes.NewReader(value))
	var root, second yaml.Node
	switch err := parser.Decode(&root); {
	case err == io.EOF:
		return nil, nil // nothing but comments: null
	case err != nil:
		return nil, notYAML(err)
	}
	switch err := parser.Decode(&second); {
	case err == nil:
		return nil, badDocument("it holds more than one YAML document")
	case err != io.EOF:
		return nil, notYAML(err)
	}
	var d yamlDecoder
	return d.value(root.Content[0], 0)
}

var yamlErrorLine = regexp.MustCompile(`line ([0-9]+)`)

// notYAML keeps the line of the library's error and none of its other words,
// which may quote the value.
func notYAML(err error) error {
	if match := yamlErrorLine.FindStringSubmatch(err.Error()); match != nil {
		return badDocument("it is not YAML: the mistake is at line %s or near", match[1])
	}
	return badDocument("it is not YAML")
}

// yamlDecoder builds a document from the library's nodes.
type yamlDecoder struct {
	budget budget
}

// value returns what n stands for, below depth others. An alias within its
// own anchor ends at the limit of depth.
func (d *yamlDecoder) value(n *yaml.Node, depth int) (any, error) {
	n = behindAlias(n)
	if n.Kind != yaml.ScalarNode {
		depth++
	}
	if err := d.budget.node(depth); err != nil {
		return nil, err
	}
	tag := n.ShortTag()
	switch {
	case n.Kind == yaml.ScalarNode:
		return scalar(n)
	case n.Kind == yaml.SequenceNode && tag == "!!seq":
		array := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			v, err := d.value(item, depth)
			if err != nil {
				return nil, err
			}
			array = append(array, v)
		}
		return array, nil
	case n.Kind == yaml.MappingNode && tag == "!!map":
		return d.mapping(n, depth)
	}
	return nil, noCounterpart(n)
}

func behindAlias(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func noCounterpart(n *yaml.Node) error {
	return badDocument("line %d has a tag, a number or a name that JSON has no counterpart for", n.Line)
}

// mapping returns the object of n. Its own members come before those of merge
// keys, and of these the first (https://yaml.org/type/merge.html).
func (d *yamlDecoder) mapping(n *yaml.Node, depth int) (map[string]any, error) {
	object := make(map[string]any, len(n.Content)/2)
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := behindAlias(n.Content[i]), n.Content[i+1]
		if key.ShortTag() == "!!merge" {
			merged = append(merged, value)
			continue
		}
		name, err := memberName(key)
		if err != nil {
			return nil, err
		}
		if _, twice := object[name]; twice {
			return nil, badDocument("a mapping has two members of one name, the second at line %d", n.Content[i].Line)
		}
		if object[name], err = d.value(value, depth); err != nil {
			return nil, err
		}
	}
	for _, source := range merged {
		if err := d.merge(object, source, depth); err != nil {
			return nil, err
		}
	}
	return object, nil
}

// merge adds to object the members of source, a mapping or a sequence of
// mappings, that it lacks.
func (d *yamlDecoder) merge(object map[string]any, source *yaml.Node, depth int) error {
	source = behindAlias(source)
	sources := []*yaml.Node{source}
	if source.Kind == yaml.SequenceNode {
		sources = source.Content
	}
	for _, source := range sources {
		source = behindAlias(source)
		if source.Kind != yaml.MappingNode {
			return badDocument("line %d merges something that is not a mapping", source.Line)
		}
		// A mapping that merges itself ends at the limit of depth.
		members, err := d.value(source, depth)
		if err != nil {
			return err
		}
		for name, value := range members.(map[string]any) {
			if _, has := object[name]; !has {
				object[name] = value
			}
		}
	}
	return nil
}

// memberName returns the name that a key of a mapping stands for.
func memberName(key *yaml.Node) (string, error) {
	if key.Kind == yaml.ScalarNode {
		switch key.ShortTag() {
		case "!!str", "!!int", "!!float", "!!bool", "!!timestamp":
			return key.Value, nil
		}
	}
	return "", noCounterpart(key)
}

// scalar returns what a scalar stands for.
func scalar(n *yaml.Node) (any, error) {
	switch n.ShortTag() {
	case "!!str", "!!timestamp":
		// The library takes a number beyond the range of a float64 for a string.
		if n.Style == 0 && yamlDecimal.MatchString(n.Value) {
			return decimal(n)
		}
		return n.Value, nil
	case "!!null":
		switch n.Value {
		case "", "~", "null", "Null", "NULL":
			return nil, nil
		}
	case "!!bool":
		switch n.Value {
		case "true", "True", "TRUE":
			return true, nil
		case "false", "False", "FALSE":
			return false, nil
		}
	case "!!int":
		return integer(n)
	case "!!float":
		return decimal(n)
	}
	return nil, noCounterpart(n)
}

// integer returns the number of a scalar that may have a base.
func integer(n *yaml.Node) (any, error) {
	if len(n.Value) > maxNumberBytes {
		return nil, badDocument("it has a number of %d characters, which may have %d", len(n.Value), maxNumberBytes)
	}
	i, ok := new(big.Int).SetString(strings.ReplaceAll(n.Value, "_", ""), 0)
	if !ok {
		return decimal(n) // such as 09, or one that was tagged by hand
	}
	text := i.String()
	return json.Number(text), checkNumber(text)
}

// yamlDecimal has the parts of a decimal number: sign, whole and fraction, or
// a fraction alone, and exponent.
var yamlDecimal = regexp.MustCompile(`^([-+]?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))([eE][-+]?[0-9]+)?$`)

// decimal returns the number of a scalar, in the grammar of JSON and with all
// its digits.
func decimal(n *yaml.Node) (any, error) {
	parts := yamlDecimal.FindStringSubmatch(strings.ReplaceAll(n.Value, "_", ""))
	if parts == nil {
		return nil, noCounterpart(n)
	}
	text := strings.TrimLeft(parts[2], "0")
	if text == "" {
		text = "0"
	}
	if parts[1] == "-" {
		text = "-" + text
	}
	if fraction := parts[3] + parts[4]; fraction != "" {
		text += "." + fraction
	}
	text += parts[5]
	return json.Number(text), checkNumber(text)
}

// encodeYAML writes document as YAML in blocks, members sorted by name. Any
// string that some reader of YAML, old or new, could take for something else is
// quoted. Its error is that of w.
func encodeYAML(w io.Writer, document any) error {
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	return errors.Join(e.Encode(yamlNode(document)), e.Close())
}

// yamlNode returns document in the form that the library writes.
func yamlNode(document any) *yaml.Node {
	switch v := document.(type) {
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, name := range sortedNames(v) {
			n.Content = append(n.Content, yamlString(name), yamlNode(v[name]))
		}
		return flowIfEmpty(n)
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, item := range v {
			n.Content = append(n.Content, yamlNode(item))
		}
		return flowIfEmpty(n)
	case string:
		return yamlString(v)
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: v.String()}
	case bool:
		if v {
			return &yaml.Node{Kind: yaml.ScalarNode, Value: "true"}
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Value: "false"}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: "null"}
}

// flowIfEmpty makes a collection without items {} or [].
func flowIfEmpty(n *yaml.Node) *yaml.Node {
	if len(n.Content) == 0 {
		n.Style = yaml.FlowStyle
	}
	return n
}

var (
	// yamlPlain are strings that are plain to every reader, but for yamlWords.
	yamlPlain = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./-]*$`)
	// yamlWords mean something in YAML 1.1 or 1.2.
	yamlWords = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off|true|false|null|inf|nan)$`)
)

func yamlString(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if !yamlPlain.MatchString(s) || yamlWords.MatchString(s) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}
