package resources

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/internal/pki"
)

// keep makes the certificates of a cluster.
func keep(t *testing.T, in Input) pki.Kept {
	t.Helper()
	kept, err := pki.DefaultPolicy.Next(time.Now(), pki.Kept{}, CertificateRequests(in))
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

func TestCertificatesComeBackFromTheirSecretsAsTheyWere(t *testing.T) {
	in := full()
	kept := keep(t, in)
	successor, err := pki.NewAuthority("successor", time.Now(), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	kept.Authorities = append(kept.Authorities, successor.Pair)
	got := KeptCertificates(AuthoritySecret(in, kept), CertificatesSecret(in, kept))
	if !reflect.DeepEqual(got, kept) {
		t.Errorf("%d authorities and %d certificates went in, %d and %d came out, or others",
			len(kept.Authorities), len(kept.Leaves), len(got.Authorities), len(got.Leaves))
	}
	if got := KeptCertificates(nil, nil); len(got.Authorities)+len(got.Leaves) > 0 {
		t.Errorf("out of nothing came %+v", got)
	}
	broken := AuthoritySecret(in, kept)
	delete(broken.Data, "authority-1.crt")
	if _, err := pki.DefaultPolicy.Next(time.Now(), KeptCertificates(broken, nil), nil); err == nil {
		t.Error("an authority whose certificate is lost is passed over in silence")
	}
}

func TestOnlyTheSecretThatNoPodMountsHoldsTheAuthoritysKey(t *testing.T) {
	in := plain()
	kept := keep(t, in)
	key := string(kept.Authorities[0].Key)
	for name, value := range CertificatesSecret(in, kept).Data {
		if strings.Contains(string(value), key) {
			t.Errorf("the members' Secret holds the authority's key, as %s", name)
		}
	}
	public := AuthorityConfigMap(in, kept)
	for name, value := range public.Data {
		if strings.Contains(value, "PRIVATE") {
			t.Errorf("the ConfigMap for clients holds a private key, as %s", name)
		}
	}
	if _, err := pki.ReadAuthorities([]byte(public.Data[pki.FileAuthorities])); err != nil {
		t.Error(err)
	}
	if !strings.Contains(string(AuthoritySecret(in, kept).Data["authority-0.key"]), key) {
		t.Error("the authority's key is nowhere")
	}
}

// TestEachMembersCertificateIsTheOneThatItsNodeWants writes what a pod would find, and
// reads it as a node does.
func TestEachMembersCertificateIsTheOneThatItsNodeWants(t *testing.T) {
	in := plain()
	in.Cluster.Spec.Client.Hosts = []string{"config.example.org", "10.1.2.3", "config.*"}
	secret := CertificatesSecret(in, keep(t, in))
	for _, member := range []string{"cfg-0", "cfg-6"} {
		dir := t.TempDir()
		for key, file := range map[string]string{member + ".crt": pki.FileCertificate, member + ".key": pki.FileKey, pki.FileAuthorities: pki.FileAuthorities} {
			if err := os.WriteFile(filepath.Join(dir, file), secret.Data[key], 0o600); err != nil {
				t.Fatal(err)
			}
		}
		self := pki.Identity{Cluster: in.ClusterID, Role: pki.RoleNode, Name: member}
		if _, err := pki.Open(pki.Options{Dir: dir, Authorities: true, Check: pki.CheckNames(self)}); err != nil {
			t.Error(err)
		}
	}
	block, _ := pem.Decode(secret.Data["cfg-1.crt"])
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{
		"cfg", "cfg.prod", "cfg.prod.svc", "cfg.prod.svc.cluster.local", "cfg-1.cfg-peers", "cfg-1.cfg-peers.prod.svc",
		PodHost("cfg", "prod", "cfg-1"), "cfg-1.cfg-peers.prod.svc.cluster.local", "config.example.org", "10.1.2.3", "localhost",
	} {
		if err := leaf.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	for _, host := range []string{"cfg-0.cfg-peers.prod.svc", "cfg.other.svc", "config.example"} {
		if leaf.VerifyHostname(host) == nil {
			t.Errorf("the certificate of cfg-1 holds for %s", host)
		}
	}
}

func TestCertificatesDoNotDependOnSizeOrBootstrap(t *testing.T) {
	want := CertificateRequests(plain())
	for _, members := range []int32{1, 5, 7} {
		in := plain()
		in.Cluster.Spec.Replicas, in.Members, in.Voters, in.InitialState = members, members, members, StateExisting
		if !reflect.DeepEqual(CertificateRequests(in), want) {
			t.Errorf("a cluster of %d wants other certificates", members)
		}
	}
}
