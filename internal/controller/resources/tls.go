package resources

import (
	"fmt"
	"net"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/pki"
)

// The objects that hold the certificates of a cluster whose authority the operator
// keeps. The authorities' keys lie in a Secret that no pod mounts; the pairs of all
// members in one that all of them mount, each member under its own name; what clients
// have to trust in a ConfigMap.

// AuthoritySecretName is the name of the Secret with the authorities and their keys.
func AuthoritySecretName(cluster string) string { return cluster + "-ca-key" }

// CertificatesSecretName is the name of the Secret with the members' certificates.
func CertificatesSecretName(cluster string) string { return cluster + "-tls" }

// AuthorityConfigMapName is the name of the ConfigMap with the authorities'
// certificates, for clients.
func AuthorityConfigMapName(cluster string) string { return cluster + "-ca" }

// Suffixes of the keys of certificates and of their private keys.
const (
	certificateSuffix = ".crt"
	keySuffix         = ".key"
)

// CertificateRequests are the certificates that a cluster needs, by pod: for all pods
// that there may ever be, so that none depends on how many there are at the moment.
// Each is made out to its member, and holds for the names by which clients call it or
// the Service in front of it.
func CertificateRequests(in Input) map[string]pki.Request {
	name, namespace := in.Cluster.Name, in.Cluster.Namespace
	requests := map[string]pki.Request{}
	for ordinal := range int32(v1.MaxReplicas) {
		pod := PodName(name, ordinal)
		r := pki.Request{Identities: []pki.Identity{{Cluster: in.ClusterID, Role: pki.RoleNode, Name: pod}}}
		called := slices.Concat(
			certificateHosts(name, namespace),
			certificateHosts(pod+"."+PeersServiceName(name), namespace),
			in.Cluster.Spec.Client.Hosts, []string{"localhost"})
		for _, host := range called {
			ip := net.ParseIP(host)
			switch {
			case ip != nil:
				r.IPs = append(r.IPs, ip)
			case !strings.HasSuffix(host, ".*"): // no certificate can say that
				r.DNSNames = append(r.DNSNames, host)
			}
		}
		slices.Sort(r.DNSNames)
		r.DNSNames = slices.Compact(r.DNSNames)
		requests[pod] = r
	}
	return requests
}

// certificateHosts are the forms of a name in the cluster's DNS, up to the domain
// that nearly all clusters have. Another one has to be among spec.client.hosts.
func certificateHosts(name, namespace string) []string {
	service := name + "." + namespace + ".svc"
	return []string{name, name + "." + namespace, service, service + ".cluster.local"}
}

// AuthoritySecret holds the authorities with their keys, oldest first.
func AuthoritySecret(in Input, kept pki.Kept) *corev1.Secret {
	data := map[string][]byte{}
	for i, authority := range kept.Authorities {
		putPair(data, authorityName(i), authority)
	}
	return opaqueSecret(in, AuthoritySecretName(in.Cluster.Name), data)
}

// CertificatesSecret holds the members' certificates with their keys, and the
// authorities that they trust.
func CertificatesSecret(in Input, kept pki.Kept) *corev1.Secret {
	data := map[string][]byte{pki.FileAuthorities: kept.Bundle()}
	for name, leaf := range kept.Leaves {
		putPair(data, name, leaf)
	}
	return opaqueSecret(in, CertificatesSecretName(in.Cluster.Name), data)
}

// AuthorityConfigMap tells clients whom to trust.
func AuthorityConfigMap(in Input, kept pki.Kept) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: objectMeta(in, AuthorityConfigMapName(in.Cluster.Name)),
		Data:       map[string]string{pki.FileAuthorities: string(kept.Bundle())},
	}
}

// KeptCertificates reads back what AuthoritySecret and CertificatesSecret hold. Either
// may be nil. A gap in the numbers ends the authorities.
func KeptCertificates(authorities, certificates *corev1.Secret) pki.Kept {
	kept := pki.Kept{Leaves: map[string]pki.Pair{}}
	if authorities != nil {
		for i := 0; ; i++ {
			pair, ok := pairOf(authorities.Data, authorityName(i))
			if !ok {
				break
			}
			kept.Authorities = append(kept.Authorities, pair)
		}
	}
	if certificates != nil {
		for key := range certificates.Data {
			name, isKey := strings.CutSuffix(key, keySuffix)
			if pair, ok := pairOf(certificates.Data, name); isKey && ok {
				kept.Leaves[name] = pair
			}
		}
	}
	return kept
}

func authorityName(i int) string { return fmt.Sprintf("authority-%d", i) }

func putPair(data map[string][]byte, name string, pair pki.Pair) {
	data[name+certificateSuffix], data[name+keySuffix] = pair.Certificate, pair.Key
}

// pairOf returns a pair of which at least the key is there; what is broken about it
// its reader finds out.
func pairOf(data map[string][]byte, name string) (pki.Pair, bool) {
	key, ok := data[name+keySuffix]
	return pki.Pair{Certificate: data[name+certificateSuffix], Key: key}, ok
}

// opaqueSecret is a Secret of the operator's own.
func opaqueSecret(in Input, name string, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: objectMeta(in, name),
		Type:       corev1.SecretTypeOpaque,
		Data:       data,
	}
}
