package main

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// writeYAML returns JSON as YAML, its members in the same order.
func writeYAML(text []byte) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(escape(text), &document); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	restyle(&document)
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	if err := errors.Join(encoder.Encode(&document), encoder.Close()); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return out.Bytes(), nil
}

// escape writes the characters that JSON may have as they are, and YAML may not, by
// their numbers.
func escape(text []byte) []byte {
	var out bytes.Buffer
	for _, r := range string(text) {
		if r >= 0x7f && r < 0xa0 || r == 0xfeff || r == 0xfffe || r == 0xffff {
			fmt.Fprintf(&out, "\\u%04x", r)
			continue
		}
		out.WriteRune(r)
	}
	return out.Bytes()
}

// plainLines are texts of several lines which all readers of YAML take as they are when
// they stand in a block: printable ASCII, without space around, ended by one newline.
var plainLines = regexp.MustCompile(`^[!-~]([ -~]*[!-~])?\n([ -~]*[!-~]\n)+$`)

// notString are texts that YAML 1.1, by which Kubernetes reads, takes for true or
// false, and YAML 1.2 doesn't.
var notString = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off)$`)

// restyle takes the style of JSON off. Texts that readers of YAML could take for
// something else keep their quotes.
func restyle(node *yaml.Node) {
	switch {
	case node.Kind != yaml.ScalarNode:
		if len(node.Content) > 0 {
			node.Style = 0
		}
	case plainLines.MatchString(node.Value):
		node.Style = yaml.LiteralStyle
	case node.Tag == "!!str" && !notString.MatchString(node.Value) && !strings.ContainsFunc(node.Value, func(r rune) bool { return r < ' ' || r > '~' }):
		node.Style = 0 // the encoder quotes what would be no string
	}
	for _, child := range node.Content {
		restyle(child)
	}
}

// withoutText says what is wrong with YAML without quoting from it.
func withoutText(err error) error {
	if kind := (*yaml.TypeError)(nil); errors.As(err, &kind) {
		line, _, _ := strings.Cut(kind.Errors[0], ":")
		return fmt.Errorf("%s: it is of another type", line)
	}
	reason, _, _ := strings.Cut(err.Error(), "\n")
	return errors.New(strings.TrimPrefix(reason, "yaml: "))
}
