package main

import (
	"archive/tar"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
)

// image describes an image made from scratch: a few files and nothing else, so there is no shell in it.
type image struct {
	name  string      // NAME:TAG
	user  string      // user and group that it runs as, such as 65532:65532; empty means root
	files []imageFile // the first one is the entry point
}

// imageFile is a file of this machine and its absolute path in the image.
type imageFile struct{ from, to string }

// imagePath is where a container looks for programs that are named without a path.
const imagePath = "PATH=/usr/local/bin:/usr/bin:/bin:/"

// parseImageFile understands FILE and FILE=PATH; without a path, the file is put into the root folder.
func parseImageFile(argument string) (imageFile, error) {
	from, to, named := strings.Cut(argument, "=")
	if !named {
		to = "/" + path.Base(from)
	}
	if from == "" || !path.IsAbs(to) || path.Clean(to) != to || to == "/" {
		return imageFile{}, fmt.Errorf("%q: want FILE or FILE=/PATH/IN/IMAGE", argument)
	}
	return imageFile{from, to}, nil
}

// write writes the image as an archive that containerd and docker import. The same files make the same
// archive to the byte: nothing in it tells the time, the owner or the machine.
func (i image) write(out io.Writer) error {
	if err := i.check(); err != nil {
		return err
	}
	// The layer is written twice, first only to learn its size and digest, which come before it.
	digest := sha256.New()
	var size counter
	if err := i.writeLayer(io.MultiWriter(digest, &size)); err != nil {
		return err
	}
	config, err := i.config("sha256:" + hex.EncodeToString(digest.Sum(nil)))
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]map[string]any{{
		"Config": "config.json", "RepoTags": []string{i.name}, "Layers": []string{"layer.tar"},
	}})
	if err != nil {
		return err
	}
	archive := tar.NewWriter(out)
	for _, entry := range []struct {
		name string
		data []byte
	}{{"manifest.json", manifest}, {"config.json", config}} {
		if err := archive.WriteHeader(fileHeader(entry.name, 0o644, int64(len(entry.data)))); err != nil {
			return err
		}
		if _, err := archive.Write(entry.data); err != nil {
			return err
		}
	}
	if err := archive.WriteHeader(fileHeader("layer.tar", 0o644, int64(size))); err != nil {
		return err
	}
	if err := i.writeLayer(archive); err != nil {
		return err
	}
	return archive.Close()
}

// check refuses what would only fail in a pod, with a message that tells less.
func (i image) check() error {
	if !hasTag(i.name) {
		return fmt.Errorf("image %q: want NAME:TAG", i.name)
	}
	if len(i.files) == 0 {
		return fmt.Errorf("image %s: no files", i.name)
	}
	for _, file := range i.files {
		if err := checkStatic(file.from); err != nil {
			return err
		}
	}
	return nil
}

// checkStatic fails for a program that needs a dynamic linker, of which the image has none.
func checkStatic(file string) error {
	program, err := elf.Open(file)
	if err != nil {
		_, err = os.Stat(file) // not a program: any file will do
		return err
	}
	defer func() { _ = program.Close() }()
	for _, segment := range program.Progs {
		if segment.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is linked dynamically and cannot start in an empty image; build it with CGO_ENABLED=0", file)
		}
	}
	return nil
}

// config is the part of an image that says how it is run.
func (i image) config(layer string) ([]byte, error) {
	return json.Marshal(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config": map[string]any{
			"Entrypoint": []string{i.files[0].to},
			"Env":        []string{imagePath},
			"User":       i.user,
			"WorkingDir": "/",
		},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{layer}},
	})
}

// writeLayer writes the files of the image, the folders they are in, and a /tmp for everyone.
func (i image) writeLayer(out io.Writer) error {
	layer := tar.NewWriter(out)
	for _, folder := range i.folders() {
		header := &tar.Header{Typeflag: tar.TypeDir, Name: folder + "/", Mode: 0o755}
		if folder == "tmp" {
			header.Mode = 0o1777
		}
		if err := layer.WriteHeader(header); err != nil {
			return err
		}
	}
	for _, file := range i.files {
		if err := addFile(layer, file); err != nil {
			return err
		}
	}
	return layer.Close()
}

// folders lists every folder of the image, parents first.
func (i image) folders() []string {
	folders := []string{"etc", "tmp"}
	for _, file := range i.files {
		for folder := path.Dir(file.to[1:]); folder != "."; folder = path.Dir(folder) {
			folders = append(folders, folder)
		}
	}
	slices.Sort(folders)
	return slices.Compact(folders)
}

// addFile copies a file into a layer. Who may run it is kept; everyone may read it.
func addFile(layer *tar.Writer, file imageFile) error {
	source, err := os.Open(file.from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", file.from)
	}
	mode := int64(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	if err := layer.WriteHeader(fileHeader(file.to[1:], mode, info.Size())); err != nil {
		return err
	}
	_, err = io.Copy(layer, source)
	return err
}

func fileHeader(name string, mode, size int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: size}
}

// counter is a writer that only counts.
type counter int64

func (c *counter) Write(data []byte) (int, error) {
	*c += counter(len(data))
	return len(data), nil
}
