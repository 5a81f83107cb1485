package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// untar returns the entries of an archive, in order, and the contents of its files.
func untar(t *testing.T, archive []byte) (headers []*tar.Header, contents map[string][]byte) {
	t.Helper()
	contents = map[string][]byte{}
	reader := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return headers, contents
		}
		if err != nil {
			t.Fatal(err)
		}
		headers = append(headers, header)
		if contents[header.Name], err = io.ReadAll(reader); err != nil {
			t.Fatal(err)
		}
	}
}

func writeTestFile(t *testing.T, name, content string, mode os.FileMode) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestImageHoldsItsFiles(t *testing.T) {
	i := image{name: "app:dev", user: "65532:65532", files: []imageFile{
		{writeTestFile(t, "app", "program", 0o700), "/usr/bin/app"},
		{writeTestFile(t, "notes", "text", 0o600), "/notes"},
	}}
	var archive bytes.Buffer
	if err := i.write(&archive); err != nil {
		t.Fatal(err)
	}
	_, outer := untar(t, archive.Bytes())

	var manifest []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(outer["manifest.json"], &manifest); err != nil {
		t.Fatal(err)
	}
	if len(manifest) != 1 || !slices.Equal(manifest[0].RepoTags, []string{"app:dev"}) {
		t.Fatalf("manifest %+v", manifest)
	}
	var config struct {
		Config struct {
			Entrypoint []string
			User       string
		}
		Rootfs struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	if err := json.Unmarshal(outer[manifest[0].Config], &config); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(config.Config.Entrypoint, []string{"/usr/bin/app"}) || config.Config.User != "65532:65532" {
		t.Errorf("config %+v", config.Config)
	}
	layer := outer[manifest[0].Layers[0]]
	digest := sha256.Sum256(layer)
	if want := "sha256:" + hex.EncodeToString(digest[:]); !slices.Equal(config.Rootfs.DiffIDs, []string{want}) {
		t.Errorf("layer is %s, config says %v", want, config.Rootfs.DiffIDs)
	}

	headers, inner := untar(t, layer)
	var got []string
	for _, h := range headers {
		got = append(got, h.FileInfo().Mode().String()+" "+h.Name)
	}
	want := []string{
		"drwxr-xr-x etc/", "dtrwxrwxrwx tmp/", "drwxr-xr-x usr/", "drwxr-xr-x usr/bin/",
		"-rwxr-xr-x usr/bin/app", "-rw-r--r-- notes",
	}
	if !slices.Equal(got, want) {
		t.Errorf("layer holds\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if string(inner["usr/bin/app"]) != "program" {
		t.Errorf("entry point holds %q", inner["usr/bin/app"])
	}
}

func TestImageIsReproducible(t *testing.T) {
	var archives [2]bytes.Buffer
	for n := range archives { // files of two folders, made at two times
		i := image{name: "app:dev", files: []imageFile{{writeTestFile(t, "app", "program", 0o755), "/app"}}}
		if err := i.write(&archives[n]); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0].Bytes(), archives[1].Bytes()) {
		t.Error("the same content made two archives")
	}
}

func TestImageRefusals(t *testing.T) {
	file := imageFile{writeTestFile(t, "app", "program", 0o755), "/app"}
	for what, test := range map[string]struct {
		image image
		want  string
	}{
		"no tag":       {image{name: "app", files: []imageFile{file}}, "want NAME:TAG"},
		"no files":     {image{name: "app:dev"}, "no files"},
		"missing file": {image{name: "app:dev", files: []imageFile{{"/nowhere", "/app"}}}, "no such file"},
		"a folder":     {image{name: "app:dev", files: []imageFile{{t.TempDir(), "/app"}}}, "is not a file"},
	} {
		if err := test.image.write(io.Discard); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", what, err, test.want)
		}
	}
}

func TestParseImageFile(t *testing.T) {
	for argument, want := range map[string]imageFile{
		"bin/node":           {"bin/node", "/node"},
		"bin/node=/usr/node": {"bin/node", "/usr/node"},
	} {
		if got, err := parseImageFile(argument); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", argument, got, err, want)
		}
	}
	for _, argument := range []string{"", "=", "=/app", "app=", "app=app", "app=/", "app=/a/../b", "app=/a/"} {
		if got, err := parseImageFile(argument); err == nil {
			t.Errorf("%q is accepted as %v", argument, got)
		}
	}
}

func TestImageNames(t *testing.T) {
	for name, want := range map[string]string{
		"app:dev":             "docker.io/library/app:dev",
		"team/app:dev":        "docker.io/team/app:dev",
		"localhost/app:dev":   "localhost/app:dev",
		"a.example/app:dev":   "a.example/app:dev",
		"host:5000/app/b:dev": "host:5000/app/b:dev",
	} {
		if got := fullName(name); got != want || !hasTag(name) {
			t.Errorf("%s: full name %s, want %s; has a tag: %v", name, got, want, hasTag(name))
		}
	}
	for _, name := range []string{"", "app", "app:", ":dev", "host:5000/app", "app:1/b"} {
		if hasTag(name) {
			t.Errorf("%q counts as tagged", name)
		}
	}
}

func TestParseImported(t *testing.T) {
	const out = "docker.io/team/app:2 \tsaved\t\n" +
		"docker.io/library/my app:v1 0 rc1      \tsaved\t\n" +
		"docker.io/library/an image with a name t\tsaved\t\n" +
		"application/vnd.docker.distribution.manifest.v2+json sha256:abd1\n" +
		"Importing\telapsed: 0.1 s\ttotal:   0.0 B\t(0.0 B/s)\t\n"
	want := []string{
		displayed("docker.io/team/app:2"),
		displayed("docker.io/library/my-app:v1-0-rc1"),
		displayed("docker.io/library/an-image-with-a-name-that-is-long:1"),
	}
	if got := parseImported(out); !slices.Equal(got, want) {
		t.Errorf("names %q, want %q", got, want)
	}
}
