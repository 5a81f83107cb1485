package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// directory writes each value to a file of its own, whose path below the
// directory is the key.
type directory struct {
	root  *os.Root
	types mediaTypes
}

// newDirectory makes the directory, or takes an empty one.
func newDirectory(name string) (*directory, error) {
	if err := os.MkdirAll(name, 0o700); err != nil {
		return nil, err
	}
	there, err := os.ReadDir(name)
	if err != nil {
		return nil, err
	}
	if len(there) > 0 {
		return nil, fmt.Errorf("--to %s: it isn't empty, and what is there could be taken for keys", name)
	}
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return &directory{root: root}, nil
}

// take writes a file. A key can't be one and hold others below it.
func (d *directory) take(i item) error {
	if i.key == typesFile {
		return fmt.Errorf("key %q can't be a file here, where that one tells media types", i.key)
	}
	d.types.note(i)
	name := filepath.FromSlash(i.key)
	err := d.root.MkdirAll(path.Dir(name), 0o700)
	if err == nil {
		err = d.root.WriteFile(name, i.value, 0o600)
	}
	if err != nil {
		return fmt.Errorf("key %q can't be a file here: %w", i.key, err)
	}
	return nil
}

// finish writes what names don't tell of media types.
func (d *directory) finish() error {
	err := error(nil)
	if len(d.types) > 0 {
		var text []byte
		if text, err = json.MarshalIndent(d.types, "", "  "); err == nil {
			err = d.root.WriteFile(typesFile, append(text, '\n'), 0o600)
		}
	}
	return errors.Join(err, d.root.Close())
}

// loadDirectory reads all files below a directory.
func loadDirectory(load *cargo, name string) error {
	root, err := os.OpenRoot(name)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // it was only read
	types, err := readTypesFile(root, filepath.Join(name, typesFile))
	if err != nil {
		return err
	}
	return fs.WalkDir(root.FS(), ".", func(key string, found fs.DirEntry, err error) error {
		at := filepath.Join(name, key)
		switch {
		case err != nil:
			return err
		case found.IsDir() || key == typesFile:
			return nil
		case !found.Type().IsRegular():
			return fmt.Errorf("%s is neither a file nor a directory", at)
		}
		file, err := root.Open(key)
		if err != nil {
			return err
		}
		value, err := readValue(file, at)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
		return load.add(item{key: key, value: value, mediaType: types[key], from: at})
	})
}
