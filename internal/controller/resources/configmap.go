package resources

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	v1 "github.com/conclave-dev/conclave/api/v1"
)

// configKey is the key of the nodes' configuration file in the ConfigMap, and
// its file name in the pod.
const configKey = "node.yaml"

// Paths inside a pod.
const (
	dataDir           = "/var/lib/conclave"
	configDir         = "/etc/conclave"
	adminTokenPath    = "admin/token"
	operatorTokenPath = "operator/token"
)

// nodeConfig is the configuration file of a node. All nodes share one: a node's
// name is its host name, which is the pod's. The keys are the node's flags.
type nodeConfig struct {
	DataDir           string       `json:"data-dir"`
	ClusterID         string       `json:"cluster-id"`
	InitialState      InitialState `json:"initial-state"`
	InitialMembers    int32        `json:"initial-members"`
	DiscoveryService  string       `json:"discovery-service"`
	HTTP              string       `json:"http"`
	Peer              string       `json:"peer"`
	Ops               string       `json:"ops"`
	Hosts             []string     `json:"hosts"`
	AdminTokenFile    string       `json:"admin-token-file"`
	OperatorTokenFile string       `json:"operator-token-file"`
	ElectionMin       string       `json:"election-timeout-min"`
	ElectionMax       string       `json:"election-timeout-max"`
	Heartbeat         string       `json:"heartbeat-interval"`
	SnapshotEntries   int64        `json:"snapshot-entries"`
	DrainPeriod       string       `json:"drain-period"`
	LogFormat         string       `json:"log-format"`
}

// ConfigMap holds the nodes' configuration file, and with it the cluster's ID
// and whether a node may still form the cluster.
func ConfigMap(in Input) *corev1.ConfigMap {
	meta := objectMeta(in, ConfigMapName(in.Cluster.Name))
	meta.Annotations = identityAnnotations(in)
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: meta,
		Data:       map[string]string{configKey: nodeConfigFile(in)},
	}
}

func nodeConfigFile(in Input) string {
	name, namespace, raft := in.Cluster.Name, in.Cluster.Namespace, in.Cluster.Spec.Raft
	file, err := yaml.Marshal(nodeConfig{
		DataDir:           dataDir,
		ClusterID:         in.ClusterID,
		InitialState:      in.InitialState,
		InitialMembers:    in.Members,
		DiscoveryService:  fmt.Sprintf("%s.%s.svc", PeersServiceName(name), namespace),
		HTTP:              fmt.Sprintf(":%d", PortClient),
		Peer:              fmt.Sprintf(":%d", PortPeer),
		Ops:               fmt.Sprintf(":%d", PortOps),
		Hosts:             hosts(in),
		AdminTokenFile:    configDir + "/" + adminTokenPath,
		OperatorTokenFile: configDir + "/" + operatorTokenPath,
		ElectionMin:       millis(raft.ElectionTimeoutMinMilliseconds),
		ElectionMax:       millis(raft.ElectionTimeoutMaxMilliseconds),
		Heartbeat:         millis(raft.HeartbeatIntervalMilliseconds),
		SnapshotEntries:   raft.SnapshotThresholdEntries,
		DrainPeriod:       drainPeriod(in),
		LogFormat:         "json",
	})
	if err != nil {
		panic(fmt.Sprintf("resources: a struct of strings and numbers can't be written as YAML: %v", err))
	}
	return string(file)
}

const (
	// drainSeconds is how long a node goes on serving while endpoints drain.
	drainSeconds = 5
	// stopSeconds is what else a stop may take: two seconds to hand over the
	// leadership, five for requests under way to end, one to close the log.
	stopSeconds = 8
)

// drainPeriod is how long a node that was told to stop goes on serving, as far as
// the time that it has leaves room for the rest of the stop.
func drainPeriod(in Input) string {
	left := in.Cluster.Spec.Pod.TerminationGracePeriodSeconds - stopSeconds
	return millis(int32(max(0, min(drainSeconds, left))) * 1000)
}

func millis(n int32) string { return fmt.Sprintf("%dms", n) }

// hosts are the names that a node answers to: those of the client Service, of
// each pod that there may ever be, and what the resource adds. A node reads them
// at its start, so they don't depend on how many there are at the moment.
func hosts(in Input) []string {
	name, namespace := in.Cluster.Name, in.Cluster.Namespace
	all := serviceHosts(name, namespace)
	for ordinal := range int32(v1.MaxReplicas) {
		all = append(all, serviceHosts(PodName(name, ordinal)+"."+PeersServiceName(name), namespace)...)
	}
	return append(all, in.Cluster.Spec.Client.Hosts...)
}

// serviceHosts are the forms of a name in the cluster's DNS, from inside the
// namespace and from outside. The last one covers any cluster domain.
func serviceHosts(name, namespace string) []string {
	return []string{
		name,
		name + "." + namespace,
		name + "." + namespace + ".svc",
		name + "." + namespace + ".svc.*",
	}
}

// configHash covers what a node reads only at its start and what its restart is
// worth. Neither the initial state nor anything that follows from the number of
// members is in it.
func configHash(in Input) string {
	extraHosts := slices.Sorted(slices.Values(in.Cluster.Spec.Client.Hosts))
	restartSettings, err := json.Marshal([]any{in.Cluster.Spec.Raft, extraHosts})
	if err != nil {
		panic(fmt.Sprintf("resources: strings and numbers can't be written as JSON: %v", err))
	}
	sum := sha256.Sum256(restartSettings)
	return hex.EncodeToString(sum[:8])
}
