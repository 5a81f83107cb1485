package transport_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/transport"
)

func readerOf(data []byte) io.Reader { return bytes.NewReader(data) }

func TestOptionsThatCannotBeUsedAreRefusedByName(t *testing.T) {
	good := func() transport.Options {
		return transport.Options{Member: 1, ClusterID: "c", ListenAddress: "127.0.0.1:0", Receive: func(raft.Message) {}}
	}
	if o := good(); o.Validate() != nil {
		t.Fatalf("refused: %v", o.Validate())
	}
	for name, change := range map[string]func(*transport.Options){
		"Member":              func(o *transport.Options) { o.Member = 0 },
		"ClusterID":           func(o *transport.Options) { o.ClusterID = "" },
		"Name":                func(o *transport.Options) { o.Name = strings.Repeat("n", 256) },
		"Address":             func(o *transport.Options) { o.Address = strings.Repeat("a", 256) },
		"Receive":             func(o *transport.Options) { o.Receive = nil },
		"ListenAddress":       func(o *transport.Options) { o.ListenAddress = "" },
		"ClientTLS":           func(o *transport.Options) { o.ServerTLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert} },
		"client certificates": func(o *transport.Options) { o.ServerTLS, o.ClientTLS = &tls.Config{}, &tls.Config{} },
		"without host names": func(o *transport.Options) {
			o.ServerTLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert}
			o.ClientTLS = &tls.Config{InsecureSkipVerify: true}
		},
		"Authenticate": func(o *transport.Options) {
			o.Authenticate = func(*x509.Certificate, string) error { return nil }
		},
		"QueueMessages":          func(o *transport.Options) { o.QueueMessages = -1 },
		"MaxConnections":         func(o *transport.Options) { o.MaxConnections = 1 },
		"BackoffMax":             func(o *transport.Options) { o.BackoffMin, o.BackoffMax = 2, 1 },
		"SnapshotBytesPerSecond": func(o *transport.Options) { o.SnapshotBytesPerSecond = 1 },
	} {
		o := good()
		change(&o)
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
		if n, err := transport.Listen(context.Background(), o); err == nil {
			n.Close()
			t.Errorf("%s: Listen took it", name)
		}
	}
}

func TestListenReportsAnAddressInUse(t *testing.T) {
	l, address := listen(t)
	defer l.Close()
	_, err := transport.Listen(context.Background(), transport.Options{
		Member: 1, ClusterID: "c", ListenAddress: address, Receive: func(raft.Message) {},
	})
	if err == nil || !strings.Contains(err.Error(), address) {
		t.Errorf("got %v, want an error that names %s", err, address)
	}
}
