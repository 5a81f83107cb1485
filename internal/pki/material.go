package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The files of a directory, by the names that Kubernetes gives them in a Secret of
// type kubernetes.io/tls. All are PEM. FileCertificate begins with the certificate
// itself; those that lead from it to an authority may follow. FileAuthorities holds
// one or more certificates, of which any is trusted.
const (
	FileCertificate = "tls.crt"
	FileKey         = "tls.key"
	FileAuthorities = "ca.crt"
)

// fileBytesMax bounds each file.
const fileBytesMax = 1 << 20

// Material is what a directory holds, read and checked. It is never changed.
type Material struct {
	// Certificate is the pair, with its Leaf.
	Certificate tls.Certificate
	// Authorities are those that are trusted, nil without a file of them.
	Authorities *x509.CertPool
	// raw is what was read, by which changes are noticed.
	raw [3][]byte
}

// NotAfter is when the certificate expires.
func (m *Material) NotAfter() time.Time { return m.Certificate.Leaf.NotAfter }

// same tells whether two hold the same files.
func (m *Material) same(raw [3][]byte) bool {
	for i := range raw {
		if !bytes.Equal(m.raw[i], raw[i]) {
			return false
		}
	}
	return true
}

// readFiles reads the three files of a directory. The authorities may be missing
// when they aren't needed, and are nil then.
func readFiles(dir string, authorities bool) (raw [3][]byte, err error) {
	for i, name := range []string{FileCertificate, FileKey, FileAuthorities} {
		raw[i], err = readFile(filepath.Join(dir, name))
		if name == FileAuthorities && !authorities && errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		if err != nil {
			return raw, err
		}
	}
	return raw, nil
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, fileBytesMax+1))
	if err == nil && len(content) > fileBytesMax {
		err = fmt.Errorf("%s is longer than %d bytes", path, fileBytesMax)
	}
	return content, err
}

// parseMaterial reads what the files of dir hold, and checks that it fits together
// and is good for the usages. What a private key looks like stands in no error.
func parseMaterial(dir string, raw [3][]byte, now time.Time, usages ...x509.ExtKeyUsage) (*Material, error) {
	m := &Material{raw: raw}
	var err error
	if m.Certificate, err = tls.X509KeyPair(raw[0], raw[1]); err != nil {
		return nil, fmt.Errorf("%s and %s: %w", filepath.Join(dir, FileCertificate), FileKey, err)
	}
	for _, usage := range usages {
		if err := mayBeUsed(m.Certificate.Leaf, usage); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, FileCertificate), err)
		}
	}
	if raw[2] == nil {
		return m, nil
	}
	if m.Authorities, err = ReadAuthorities(raw[2]); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, FileAuthorities), err)
	}
	if err := m.verifyOwn(now); err != nil {
		return nil, fmt.Errorf("%s: not issued by any of %s: %w", filepath.Join(dir, FileCertificate), FileAuthorities, err)
	}
	return m, nil
}

// mayBeUsed returns why a certificate isn't for servers, or for clients: it names what
// it is for, and that isn't among it (RFC 5280, section 4.2.1.12). The other side of
// a handshake would refuse it.
func mayBeUsed(leaf *x509.Certificate, usage x509.ExtKeyUsage) error {
	named := len(leaf.ExtKeyUsage) + len(leaf.UnknownExtKeyUsage)
	if named == 0 || slices.Contains(leaf.ExtKeyUsage, usage) || slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return nil
	}
	side := "server (serverAuth)"
	if usage == x509.ExtKeyUsageClientAuth {
		side = "client (clientAuth)"
	}
	return fmt.Errorf("by its extended key usage, the certificate may not be used by a %s", side)
}

// ReadAuthorities reads PEM certificates of authorities. Every block has to be
// one, since an authority that is skipped in silence is missed much later.
func ReadAuthorities(text []byte) (*x509.CertPool, error) {
	pool, found := x509.NewCertPool(), 0
	for rest := text; ; found++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("block %d is a %s and not a CERTIFICATE", found+1, block.Type)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", found+1, err)
		}
		pool.AddCert(certificate)
	}
	if found == 0 {
		return nil, errors.New("it holds no certificate in PEM")
	}
	// The decoder passes over blocks that are cut off or garbled.
	if begun, ended := bytes.Count(text, []byte("-----BEGIN ")), bytes.Count(text, []byte("-----END ")); begun != found || ended != found {
		return nil, fmt.Errorf("%d blocks begin and %d end, and only %d can be read", begun, ended, found)
	}
	return pool, nil
}

// verifyOwn checks that the authorities know the certificate, now or at the moment
// nearest to now at which it is valid: its own life is another question.
func (m *Material) verifyOwn(now time.Time) error {
	leaf := m.Certificate.Leaf
	if now.Before(leaf.NotBefore) {
		now = leaf.NotBefore
	} else if now.After(leaf.NotAfter) {
		now = leaf.NotAfter
	}
	intermediates := x509.NewCertPool()
	for _, der := range m.Certificate.Certificate[1:] {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		intermediates.AddCert(certificate)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: m.Authorities, Intermediates: intermediates, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return err
}
