package main

import (
	"fmt"
	"slices"
	"strings"
)

// kubernetesVersion is what the servers say of themselves. Modules do not tell it to a build; without it
// they say v0.0.0-master and charts that ask for a Kubernetes version refuse to be installed.
const kubernetesVersion = "v1.37.2"

// component is what is built together from one module.
type component struct {
	name     string
	folder   string    // of its module, below components/
	ldflags  string    // besides those that all have
	programs []program // what is built
	links    []string  // other names of the first program
}

// program is one binary: its path below the cache's bin directory and its package.
type program struct{ file, pkg string }

// components lists everything that can be built, quick ones first, so that trouble shows early.
func components() []component {
	kubernetes := kubernetesLdflags()
	containerd := func(name string) program {
		return program{name, "github.com/containerd/containerd/v2/cmd/" + name}
	}
	plugin := func(kind, name string) program {
		return program{"cni/" + name, "github.com/containernetworking/plugins/plugins/" + kind + "/" + name}
	}
	return []component{
		{name: "pause", folder: "pause", programs: []program{{"pause", "."}}},
		{name: "cni", folder: "cni", programs: []program{plugin("main", "ptp"), plugin("main", "loopback"), plugin("ipam", "host-local")}},
		{name: "etcd", folder: "etcd", programs: []program{{"etcd", "go.etcd.io/etcd/server/v3"}}},
		{name: "containerd", folder: "containerd", programs: []program{
			containerd("containerd"), containerd("containerd-shim-runc-v2"), containerd("ctr"),
		}},
		{name: "coredns", folder: "coredns", programs: []program{{"coredns", "github.com/coredns/coredns"}}},
		{
			name: "hyperkube", folder: "hyperkube", ldflags: kubernetes, programs: []program{{"hyperkube", "."}},
			links: []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"},
		},
		{name: "kubectl", folder: "hyperkube", ldflags: kubernetes, programs: []program{{"kubectl", "./kubectl"}}},
		{name: "helm", folder: "helm", programs: []program{{"helm", "helm.sh/helm/v4/cmd/helm"}}},
	}
}

// envtest names together the components of the three programs that a controller test starts by itself.
const envtest = "envtest"

var envtestComponents = []string{"etcd", "hyperkube", "kubectl"}

// selectComponents returns the components of those names, in the order of components(); no name means all.
func selectComponents(names []string) ([]component, error) {
	all := components()
	if len(names) == 0 {
		return all, nil
	}
	var wanted []string
	for _, name := range names {
		if name == envtest {
			wanted = append(wanted, envtestComponents...)
			continue
		}
		if !slices.ContainsFunc(all, func(c component) bool { return c.name == name }) {
			return nil, fmt.Errorf("unknown component %q; there are %s", name, strings.Join(componentNames(), ", "))
		}
		wanted = append(wanted, name)
	}
	return slices.DeleteFunc(all, func(c component) bool { return !slices.Contains(wanted, c.name) }), nil
}

// componentNames lists all that `build` accepts.
func componentNames() []string {
	names := []string{envtest}
	for _, c := range components() {
		names = append(names, c.name)
	}
	return names
}

func kubernetesLdflags() string {
	numbers := strings.Split(strings.TrimPrefix(kubernetesVersion, "v"), ".")
	const variable = "k8s.io/component-base/version."
	return strings.Join([]string{
		"-X " + variable + "gitVersion=" + kubernetesVersion,
		"-X " + variable + "gitMajor=" + numbers[0],
		"-X " + variable + "gitMinor=" + numbers[1],
		"-X " + variable + "gitTreeState=clean",
	}, " ")
}
