package arch

import "slices"

// Groups of packages that the law speaks of.
var (
	network    = []string{"net/..."}
	badger     = []string{"github.com/dgraph-io/badger/..."}
	msgpack    = []string{"github.com/hashicorp/go-msgpack/..."}
	kubernetes = []string{"k8s.io/...", "sigs.k8s.io/..."}
	prometheus = []string{"github.com/prometheus/..."}
	yaml       = []string{"go.yaml.in/yaml/v3"}
	commands   = []string{"github.com/spf13/cobra/...", "github.com/spf13/pflag/..."}
	goroutines = []string{"golang.org/x/sync/..."} // errgroup: started beside their owner's wait
	project    = []string{"./..."}
	consensus  = []string{"./pkg/raft/..."}
	ownConfig  = []string{"./pkg/config/..."}
)

// Reasons that several bans share.
const (
	oneStorage   = "only badgerlog knows where bytes lie, so that the storage has one set of durability rules"
	oneTransport = "only transport opens sockets, so that the simulator can stand in for the network"
	notTheStore  = "consensus carries bytes and knows no keys or values, so that either can change without the other"
	notKube      = "a node runs on any machine; what Kubernetes needs of it is a contract of flags, ports and files"
	notConsensus = "the store is a deterministic state machine and meets consensus only through the interface it declares"
	remoteOnly   = "it speaks to nodes over HTTP, as anyone does; sharing their inside would tie their versions together"
)

// ThisLaw is the import law of this module. A row may be loosened when the reason
// beside its ban has become untrue, never to make a build pass.
var ThisLaw = join(dataPlane, clientSide, controlPlane, proof)

// dataPlane is what a node is made of, from the algorithm up.
var dataPlane = Law{
	"pkg/raft": {
		May: []string{"errors", "fmt", "slices", "cmp", "strings", "strconv", "math/...", "crypto/sha256", "encoding/binary"},
		Never: []Ban{
			{[]string{"time", "os/...", "context", "sync/...", "log/..."}, "the algorithm is a value: no clock, no IO, no goroutine, so that the same inputs give the same outputs"},
			{[]string{"maps"}, "the order of a map must never reach the output"},
			{network, oneTransport},
			{badger, oneStorage},
			{msgpack, "a byte layout belongs in wire"},
			{project, "the algorithm stands alone; the others import it"},
		},
	},
	"pkg/raft/wire": {
		May:   slices.Concat([]string{"std", "./pkg/raft"}, msgpack),
		Never: []Ban{{network, oneTransport}, {badger, oneStorage}, {ownConfig, notTheStore}},
	},
	"pkg/raft/badgerlog": {
		May:   slices.Concat([]string{"std", "./pkg/raft", "./pkg/raft/wire", "golang.org/x/sys/..."}, badger, goroutines),
		Never: []Ban{{network, oneTransport}, {ownConfig, notTheStore}},
	},
	"pkg/raft/transport": {
		May: slices.Concat([]string{"std", "./pkg/raft", "./pkg/raft/wire"}, goroutines),
		Never: []Ban{
			{badger, oneStorage},
			{[]string{"./pkg/raft/replica"}, "the loop declares the Sender that it needs; transport only fits it"},
			{ownConfig, notTheStore},
			{[]string{"net/http/..."}, "peers speak frames of their own over TCP, clients speak HTTP elsewhere"},
		},
	},
	"pkg/raft/replica": {
		May: slices.Concat([]string{"std", "./pkg/raft"}, goroutines),
		Never: []Ban{
			{badger, oneStorage},
			{network, oneTransport},
			{msgpack, "a byte layout belongs in wire"},
			{[]string{"./pkg/raft/wire"}, "a byte layout belongs in wire, and the loop handles values"},
			{ownConfig, notTheStore},
		},
	},
	"pkg/config": {
		May: slices.Concat([]string{"std", "github.com/tidwall/btree", "github.com/santhosh-tekuri/jsonschema/..."},
			yaml, msgpack, goroutines),
		Never: []Ban{
			{consensus, notConsensus},
			{[]string{"net/http/..."}, "the meaning of a request belongs in internal/httpapi"},
			{badger, oneStorage},
			{kubernetes, notKube},
		},
	},
	"internal/discovery": {
		May:   slices.Concat([]string{"std"}, goroutines),
		Never: []Ban{{consensus, "finding names is older than having a cluster"}, {kubernetes, notKube}},
	},
	"internal/httpapi": {
		May: slices.Concat([]string{"std", "./pkg/config"}, goroutines),
		Never: []Ban{
			{consensus, "a handler asks the store, which asks consensus"},
			{badger, oneStorage},
			{kubernetes, notKube},
		},
	},
	"internal/opsapi": {
		May:   slices.Concat([]string{"std", "./internal/admin", "./internal/pki"}, prometheus, goroutines),
		Never: []Ban{{badger, oneStorage}, {kubernetes, notKube}},
	},
	"internal/pki": {
		May:   []string{"std"},
		Never: []Ban{{project, "certificates are read alike by nodes and by the operator, which share nothing else"}},
	},
	"internal/node": {
		May: slices.Concat([]string{"std", "./pkg/raft", "./pkg/raft/wire", "./pkg/raft/badgerlog", "./pkg/raft/transport",
			"./pkg/raft/replica", "./pkg/config", "./internal/admin", "./internal/discovery", "./internal/httpapi",
			"./internal/opsapi", "./internal/pki"}, prometheus, goroutines),
		Never: []Ban{{kubernetes, notKube}},
	},
	"cmd/node": {
		May:   slices.Concat([]string{"std", "./internal/node", "./internal/pki"}, commands, yaml, goroutines), // dev runs three nodes
		Never: []Ban{{kubernetes, notKube}},
	},
}

// clientSide is what other programs and people use to speak to nodes.
var clientSide = Law{
	"internal/admin": {
		May:   []string{"std"},
		Never: []Ban{{project, remoteOnly}},
	},
	"pkg/client": {
		May:   []string{"std"},
		Never: []Ban{{project, remoteOnly}},
	},
	"cmd/conclave": {
		May:   slices.Concat([]string{"std", "./pkg/client", "./internal/admin"}, yaml, commands),
		Never: []Ban{{consensus, remoteOnly}, {badger, remoteOnly}},
	},
}

// controlPlane is the operator.
var controlPlane = Law{
	"api/v1": {
		May: []string{"std", "k8s.io/api/...", "k8s.io/apimachinery/..."},
		Never: []Ban{
			{[]string{"k8s.io/client-go/...", "sigs.k8s.io/controller-runtime/..."}, "whoever reads our resource types shouldn't have to build a controller"},
			{project, "whoever reads our resource types shouldn't have to build the project"},
		},
	},
	"internal/controller/resources": {
		May: []string{"std", "./api/v1", "./internal/pki", "k8s.io/api/...", "k8s.io/apimachinery/...", "k8s.io/utils/...", "sigs.k8s.io/yaml"},
		Never: []Ban{
			{[]string{"k8s.io/client-go/...", "sigs.k8s.io/controller-runtime/..."}, "builders are pure: the same spec gives the same objects, and act.go sends them"},
			{[]string{"context", "time"}, "builders are pure: nothing in an object depends on when it was built"},
		},
	},
	"internal/controller": {
		May: slices.Concat([]string{"std", "./api/v1", "./internal/controller/resources", "./internal/admin"}, kubernetes, prometheus, goroutines),
		Never: []Ban{
			{slices.Concat(consensus, ownConfig), remoteOnly},
			{badger, remoteOnly},
		},
	},
	"cmd/operator": {
		May:   slices.Concat([]string{"std", "./internal/controller", "./api/v1"}, kubernetes, commands),
		Never: []Ban{{badger, remoteOnly}, {consensus, remoteOnly}},
	},
}

// proof is what only tests use. No other row lists these packages, so nothing
// that ships can import them.
var proof = Law{
	"pkg/raft/rafttest": {
		May: slices.Concat([]string{"std", "./pkg/raft", "./pkg/raft/replica", "./pkg/raft/wire",
			"github.com/cockroachdb/datadriven"}, goroutines),
		Never: []Ban{{network, oneTransport}, {badger, oneStorage}, {ownConfig, notTheStore}},
	},
	"test/sim": {
		May:   slices.Concat([]string{"std", "./pkg/raft", "./pkg/raft/replica", "./pkg/raft/rafttest", "./pkg/config", "./test/e2e/history"}, goroutines),
		Never: []Ban{{network, "a simulated cluster meets nothing that isn't simulated"}, {badger, "a simulated cluster meets nothing that isn't simulated"}},
	},
	"test/sim/mutants": {
		May:   []string{"std"},
		Never: []Ban{{project, "it patches source and runs the simulator; what it links would not be what it patched"}},
	},
	"test/e2e": {
		May:   slices.Concat([]string{"std", "./api/v1", "./internal/admin", "./pkg/client", "./test/e2e/history"}, kubernetes),
		Never: []Ban{{consensus, "an end-to-end test sees what a user sees"}, {badger, "an end-to-end test sees what a user sees"}},
	},
	"test/e2e/history": {
		May:   []string{"std", "github.com/anishathalye/porcupine"},
		Never: []Ban{{project, "who judges a store shares nothing with it"}},
	},
	"test/e2e/writer": {
		May:   []string{"std", "./pkg/client", "./test/e2e/history"},
		Never: []Ban{{kubernetes, "the writer is an application like any other"}},
	},
	"test/arch": {
		May:   []string{"std", "golang.org/x/mod/..."},
		Never: []Ban{{project, "the law reads source; it never depends on what it judges"}},
	},
}

// ThisReach is what three packages must not reach at any distance. The standard
// library's fmt itself needs sync, time and os, so those are left to the direct
// imports.
var ThisReach = []Reach{
	{"pkg/raft", []Ban{
		{[]string{"elsewhere"}, "the algorithm needs nothing but the standard library"},
		{project, "the algorithm stands alone; the others import it"},
		{slices.Concat(network, []string{"context", "log/..."}), "the algorithm does no IO and waits for nothing"},
	}},
	{"cmd/node", []Ban{{kubernetes, notKube}}},
	{"cmd/operator", []Ban{{badger, remoteOnly}, {consensus, remoteOnly}}},
}

// join returns one law with the rows of all parts. A package with two rows would
// make one of them silently void, so that is a mistake in this file.
func join(parts ...Law) Law {
	whole := make(Law)
	for _, part := range parts {
		for dir, rule := range part {
			if _, twice := whole[dir]; twice {
				panic("test/arch/law.go: two rows for " + dir)
			}
			whole[dir] = rule
		}
	}
	return whole
}
