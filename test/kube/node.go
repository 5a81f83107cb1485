package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"os"
	"strconv"
	"text/template"
	"time"
)

// files holds the configuration of a node's programs and the first objects of a cluster.
//
//go:embed files
var files embed.FS

// configure writes the configuration of the node's programs.
func (n node) configure() error {
	for _, folder := range []string{"root", "run", "cni", "ipam", "cni-lib", "kubelet"} {
		if err := os.MkdirAll(n.file(folder), 0o755); err != nil {
			return err
		}
	}
	for from, to := range map[string]string{
		"containerd.toml": "containerd.toml",
		"cni.conflist":    "cni/10-ptp.conflist",
		"kubelet.yaml":    "kubelet.yaml",
	} {
		text, err := n.render(from)
		if err != nil {
			return err
		}
		if err := os.WriteFile(n.file(to), text, 0o644); err != nil {
			return err
		}
	}
	// What pods with dnsPolicy Default get. CoreDNS is one, and must not learn of the machine's resolver.
	return os.WriteFile(n.file("resolv.conf"), []byte("nameserver "+dnsIP+"\n"), 0o644)
}

// render fills in one of the embedded files for the node.
func (n node) render(file string) ([]byte, error) {
	parsed, err := template.New(file).Option("missingkey=error").ParseFS(files, "files/"+file)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	err = parsed.Execute(&text, map[string]string{
		"Cluster": n.name, "Dir": n.file(), "Bin": n.Bin, "Runc": n.Runc, "Group": n.group(),
		"PodRange": n.podRange(), "DNS": dnsIP, "Domain": clusterDomain,
		"PauseImage": pauseImage, "Snapshotter": snapshotterName,
	})
	return text.Bytes(), err
}

// powerOn starts the node's supervisor, which starts all else. The folders that kubelets and
// containerds of one machine would fight over (sockets, pod logs, volumes) are the node's own.
func (n node) powerOn(ended func(error)) error {
	if err := makeGroup(n.groupOfPrograms()); err != nil {
		return err
	}
	own := map[string]string{
		n.file("run"):     "/run/containerd",
		n.file("kubelet"): "/var/lib/kubelet",
		n.file("cni-lib"): "/var/lib/cni",
		n.logs():          "/var/log",
		n.path("volumes"): provisionerDir, // all nodes see all volumes, as on network storage
	}
	var binds []string
	for from, to := range own {
		for _, folder := range []string{from, to} {
			if err := os.MkdirAll(folder, 0o755); err != nil {
				return err
			}
		}
		binds = append(binds, from+":"+to)
	}
	return n.launch(launch{
		group: n.groupOfPrograms(),
		netns: n.netns(),
		binds: binds,
		log:   n.log(n.hostname()),
		argv:  []string{n.tool(), "_node", "--name", n.name, strconv.Itoa(n.number)},
	}, ended)
}

// powerOff ends everything on the node at once. The cable goes first, so that its peers see silence and
// not the resets of a kernel that tidies up. What is in memory on a real machine is lost.
func (n node) powerOff(ctx context.Context) error {
	if err := n.cut(ctx); err != nil {
		return err
	}
	if err := endGroup(ctx, n.group()); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(n.file("run")), os.RemoveAll(n.file("ipam")))
}

// restart powers the node on again, with its cable plugged in.
func (n node) restart(ctx context.Context) error {
	pids, err := groupProcesses(n.group())
	if err != nil {
		return err
	}
	if len(pids) > 0 {
		return errors.New(n.hostname() + " is running; `stop` it first")
	}
	if err := os.MkdirAll(n.file("ipam"), 0o755); err != nil {
		return err
	}
	if err := n.heal(ctx); err != nil {
		return err
	}
	if err := n.dropPodCables(ctx); err != nil {
		return err
	}
	if err := n.powerOn(func(error) {}); err != nil {
		return err
	}
	return waitFor(ctx, "containerd of "+n.hostname(), n.log(n.hostname()), time.Minute, func(context.Context) error {
		if !n.poweredOn() {
			return errors.New("no answer")
		}
		return nil
	})
}
