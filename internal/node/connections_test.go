package node

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/internal/httpapi"
)

func TestANodeKeepsFilesForItself(t *testing.T) {
	for files, want := range map[uint64]int{
		0: httpapi.DefaultMaxConnections, 1 << 20: httpapi.DefaultMaxConnections, httpapi.DefaultMaxConnections + ownFiles: httpapi.DefaultMaxConnections,
		httpapi.DefaultMaxConnections: httpapi.DefaultMaxConnections - ownFiles, 4096: 4096 - ownFiles, 1024: 64, 1: 64,
	} {
		if got := clientConnections(files); got != want {
			t.Errorf("with %d files %d clients may be connected, want %d", files, got, want)
		}
	}
}

// TestHealthAndMetricsAnswerDuringAFloodOfConnections fills the operations port with
// connections that send nothing, or no end of a head.
func TestHealthAndMetricsAnswerDuringAFloodOfConnections(t *testing.T) {
	c := newTrio(t)
	c.formed()
	var flood []net.Conn
	for i := range opsConnections + 50 {
		conn, err := net.Dial("tcp", c.at(0, 2))
		if err != nil {
			t.Fatal(err)
		}
		flood = append(flood, conn)
		if i%2 == 0 {
			_, _ = conn.Write([]byte("GET /livez HTTP/1.1\r\nHost: ")) // it may have been closed already
		}
	}
	for range 5 {
		for path, says := range map[string]string{"/livez": "ok", "/readyz": "ok", "/metrics": `conclave_http_connections_displaced_total{port="ops"}`} {
			if status, body := ask(t, http.MethodGet, "http://"+c.at(0, 2)+path, ""); status != http.StatusOK || !strings.Contains(body, says) {
				t.Errorf("GET %s = %d %.100s", path, status, body)
			}
		}
	}
	for _, conn := range flood {
		conn.Close()
	}
	for i := range 3 {
		c.stop(i)
	}
}
