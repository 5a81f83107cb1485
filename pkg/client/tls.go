package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// handshakeTimeout bounds the TLS handshake with an endpoint.
const handshakeTimeout = 5 * time.Second

// TLSFiles name the PEM files for endpoints whose scheme is https. They are read
// again for each connection, so that certificates can be renewed and authorities
// replaced while a program runs.
type TLSFiles struct {
	// CA holds the certificates of the authorities that nodes have to be known
	// to. Default: those of the system.
	CA string
	// Certificate and Key, both or neither, are what this side shows to nodes that
	// ask for it. Operations ports do, and take it in place of a token.
	Certificate, Key string
}

// Secure has a transport use the files for https, with whatever it connects by.
// The error tells which file can't be used; nobody is contacted yet.
func (f TLSFiles) Secure(transport *http.Transport) error {
	config, err := f.read()
	if err != nil {
		return err
	}
	transport.TLSClientConfig = config // for connections through a proxy
	transport.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		config, err := f.read()
		if err != nil {
			return nil, err
		}
		if config.ServerName, _, err = net.SplitHostPort(address); err != nil {
			return nil, err
		}
		dial := transport.DialContext
		if dial == nil {
			dial = new(net.Dialer).DialContext
		}
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
		defer cancel()
		secured := tls.Client(conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, explainTLS(err)
		}
		return secured, nil
	}
	return nil
}

// read makes a configuration of what the files hold now.
func (f TLSFiles) read() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	if f.CA != "" {
		text, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s holds no certificate of an authority in PEM", f.CA)
		}
	}
	if f.Certificate == "" && f.Key == "" {
		return config, nil
	}
	if f.Certificate == "" || f.Key == "" {
		return nil, fmt.Errorf("a certificate and its key go together, and only %s is given", cmp.Or(f.Certificate, f.Key))
	}
	pair, err := tls.LoadX509KeyPair(f.Certificate, f.Key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", f.Certificate, f.Key, err)
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}

// explainTLS says what an error of the handshake means when the other side doesn't
// speak TLS, or isn't known to an authority.
func explainTLS(err error) error {
	var header tls.RecordHeaderError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &header):
		return fmt.Errorf("the endpoint doesn't speak TLS; is it an http:// one? %w", err)
	case errors.As(err, &unknown):
		return fmt.Errorf("the certificate of the endpoint is of no authority that is trusted here: %w", err)
	}
	return err
}

// wantsTLS tells whether an answer is what Go's servers say in the clear to those who
// forgot TLS.
func wantsTLS(status int, body []byte) bool {
	return status == http.StatusBadRequest && strings.HasPrefix(string(body), "Client sent an HTTP request to an HTTPS server")
}
