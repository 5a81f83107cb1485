package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Archives of the images that every node has from the start, in the cluster's folder "images".
const (
	pauseArchive   = "pause.tar"
	coreDNSArchive = "coredns.tar"
)

// writeFirstImages makes the images that every node imports before its kubelet starts.
func (c *cluster) writeFirstImages() error {
	for archive, image := range map[string]image{
		pauseArchive:   {name: pauseImage, files: []imageFile{{filepath.Join(c.Bin, "pause"), "/pause"}}},
		coreDNSArchive: {name: coreDNSImage, files: []imageFile{{filepath.Join(c.Bin, "coredns"), "/coredns"}}},
	} {
		if err := image.writeFile(c.path("images", archive)); err != nil {
			return err
		}
	}
	return nil
}

// writeFile writes the image's archive to a file, whole or not at all.
func (i image) writeFile(name string) error {
	file, err := os.CreateTemp(filepath.Dir(name), "image-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // fails after the rename, which is right
	if err := errors.Join(i.write(file), file.Chmod(0o644), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), name)
}

// loadMade makes an image and imports it into all nodes.
func (c *cluster) loadMade(ctx context.Context, i image) error {
	file, err := os.CreateTemp(c.path("images"), "load-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	if err := errors.Join(i.write(file), file.Close()); err != nil {
		return err
	}
	return c.load(ctx, i.name, file.Name())
}

// load imports an archive into all nodes and makes sure that it held the image it was said to hold.
// Another image of the same name is replaced, but pods keep the one they were started with.
func (c *cluster) load(ctx context.Context, name, archive string) error {
	if !hasTag(name) {
		return fmt.Errorf("image %q: want NAME:TAG", name)
	}
	archive, err := filepath.Abs(archive)
	if err != nil {
		return err
	}
	if _, err := os.Stat(archive); err != nil {
		return err
	}
	for _, n := range c.nodes() { // first all of them, so that either all nodes have the image or none
		if !n.poweredOn() {
			return fmt.Errorf("%s is powered off; an image must reach all nodes", n.hostname())
		}
	}
	imported := make([][]string, c.Nodes)
	errs := make([]error, c.Nodes)
	var imports sync.WaitGroup
	for i, n := range c.nodes() {
		imports.Go(func() { imported[i], errs[i] = n.importImage(ctx, archive) })
	}
	imports.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if held := imported[0]; !slices.Contains(held, displayed(fullName(name))) {
		return fmt.Errorf("%s does not hold %s, but %q", archive, fullName(name), held)
	}
	return nil
}

// hasTag tells whether an image's name ends in a tag. Without one it would mean "latest", which the
// kubelet wants to pull each time and cannot.
func hasTag(name string) bool {
	tag := name[strings.LastIndex(name, "/")+1:]
	before, after, found := strings.Cut(tag, ":")
	return found && before != "" && after != ""
}

// fullName completes an image's name the way the kubelet does: one without a registry is on the
// default one, though nothing is ever asked there.
func fullName(name string) string {
	first, _, found := strings.Cut(name, "/")
	switch {
	case !found:
		return "docker.io/library/" + name
	case first == "localhost" || strings.ContainsAny(first, ".:"):
		return name
	default:
		return "docker.io/" + name
	}
}
