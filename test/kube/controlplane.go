package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// startControlPlane starts what the nodes need first: etcd and the API server. ended is called if one
// of them ends.
func (c *cluster) startControlPlane(ended func(error)) error {
	if err := makeGroup(c.controlPlaneGroup()); err != nil {
		return err
	}
	if err := c.startProgram("etcd", c.etcdArgs(), nil, ended); err != nil {
		return err
	}
	return c.startProgram("kube-apiserver", c.apiserverArgs(), nil, ended)
}

// startControllers starts the programs that only talk to the API server. Only one of each runs, so none
// is elected leader.
func (c *cluster) startControllers(ended func(error)) error {
	// The default rate of requests makes the first seconds of a cluster twice as long.
	common := []string{
		"--kubeconfig=" + c.kubeconfig(), "--leader-elect=false",
		"--kube-api-qps=500", "--kube-api-burst=1000",
	}
	volumes := []string{c.path("volumes") + ":" + provisionerDir}
	if err := c.startProgram("kube-controller-manager", append(c.controllerManagerArgs(), common...), volumes, ended); err != nil {
		return err
	}
	return c.startProgram("kube-scheduler", common, nil, ended)
}

func (c *cluster) startProgram(name string, args, binds []string, ended func(error)) error {
	return c.launch(launch{
		group: c.controlPlaneGroup(),
		netns: c.controlPlaneNetns(),
		binds: binds,
		log:   c.log(name),
		argv:  append([]string{filepath.Join(c.Bin, name)}, args...),
	}, ended)
}

func (c *cluster) etcdArgs() []string {
	return []string{
		"--data-dir=" + c.path("etcd"), "--log-level=warn",
		"--unsafe-no-fsync", // the control plane is never powered off, so it need not outlive that
		"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
		"--listen-peer-urls=http://127.0.0.1:2380",
	}
}

func (c *cluster) apiserverArgs() []string {
	const issuer = "https://kubernetes.default.svc." + clusterDomain
	evictSeconds := fmt.Sprint(int(c.EvictAfter.Seconds()))
	return []string{
		"--etcd-servers=http://127.0.0.1:2379",
		"--advertise-address=" + controlPlaneIP, "--service-cluster-ip-range=" + serviceRange,
		"--allow-privileged", "--authorization-mode=RBAC",
		"--tls-cert-file=" + c.path("pki", "api.crt"), "--tls-private-key-file=" + c.path("pki", "api.key"),
		"--client-ca-file=" + c.path("pki", "ca.crt"), "--token-auth-file=" + c.path("pki", "tokens.csv"),
		"--service-account-issuer=" + issuer, "--service-account-jwks-uri=" + issuer + "/openid/v1/jwks",
		"--service-account-key-file=" + c.path("pki", "sa.pub"),
		"--service-account-signing-key-file=" + c.path("pki", "sa.key"),
		"--kubelet-preferred-address-types=InternalIP", // nodes' names are known to nobody
		"--enable-aggregator-routing=true",             // to pods themselves: no kube-proxy runs here
		"--default-not-ready-toleration-seconds=" + evictSeconds,
		"--default-unreachable-toleration-seconds=" + evictSeconds,
	}
}

// controllerManagerArgs notices a lost node within 8 s instead of 50 s, which fits the status that the
// kubelets send every 2 s (files/kubelet.yaml).
func (c *cluster) controllerManagerArgs() []string {
	return []string{
		"--service-account-private-key-file=" + c.path("pki", "sa.key"),
		"--root-ca-file=" + c.path("pki", "ca.crt"),
		"--cluster-signing-cert-file=" + c.path("pki", "ca.crt"),
		"--cluster-signing-key-file=" + c.path("pki", "ca.key"),
		"--enable-hostpath-provisioner=true",
		"--node-monitor-period=1s", "--node-monitor-grace-period=8s",
	}
}

// apply hands a manifest to the API server with kubectl.
func (c *cluster) apply(ctx context.Context, manifest []byte) error {
	return inNetns(c.controlPlaneNetns(), func() error { // a child starts in the namespace of the thread
		cmd := exec.CommandContext(ctx, filepath.Join(c.Bin, "kubectl"),
			"apply", "--filename=-", "--cache-dir="+c.path("kubectl-cache"))
		cmd.Env = c.daemonEnv()
		cmd.Stdin = bytes.NewReader(manifest)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("kubectl apply: %w: %s", err, out)
		}
		return nil
	})
}
