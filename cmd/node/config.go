package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/pflag"
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
	var values yaml.MapSlice
	if err := yaml.Unmarshal(data, &values); err != nil {
		return fmt.Errorf("config: %s: %s", path, yaml.FormatError(err, false, false))
	}
	for _, item := range values {
		key := fmt.Sprint(item.Key)
		flag := flags.Lookup(key)
		if flag == nil || key == "config" || key == "help" || key == "version" {
			return fmt.Errorf("config: %s: there is no setting %q; node --help lists them all", path, key)
		}
		if flag.Changed {
			continue
		}
		text, err := flagText(item.Value)
		if err == nil {
			err = flags.Set(key, text)
		}
		if err != nil {
			return fmt.Errorf("config: %s: %s: %w", path, key, err)
		}
	}
	return nil
}

// flagText writes a YAML value as one would on the command line.
func flagText(value any) (string, error) {
	switch v := value.(type) {
	case []any:
		parts := make([]string, len(v))
		for i, one := range v {
			text, err := flagText(one)
			if err != nil {
				return "", err
			}
			parts[i] = text
		}
		return strings.Join(parts, ","), nil
	case nil:
		return "", fmt.Errorf("has no value")
	case map[string]any, yaml.MapSlice:
		return "", fmt.Errorf("want a plain value or a list, not a map")
	default:
		return fmt.Sprint(v), nil
	}
}
