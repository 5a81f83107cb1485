package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
)

// envNodeImage names the environment variable that stands in for --node-image.
const envNodeImage = "CONCLAVE_NODE_IMAGE"

// options are what the command line says.
type options struct {
	nodeImage       string
	namespaces      []string
	metricsAddress  string
	healthAddress   string
	leaderElection  bool
	leaderNamespace string
	ownNamespace    string
	ownLabels       map[string]string
	concurrency     int
	logFormat       string
	logLevel        slog.Level
	showVersion     bool
}

// parseOptions reads the command line. Usage goes to output.
func parseOptions(args []string, getenv func(string) string, output io.Writer) (options, error) {
	var o options
	var namespaces, ownLabels string
	flags := flag.NewFlagSet("operator", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&o.nodeImage, "node-image", getenv(envNodeImage), "image of the nodes whose RaftCluster names none (default $"+envNodeImage+")")
	flags.StringVar(&namespaces, "watch-namespaces", "", "comma-separated namespaces to manage; empty for all")
	flags.StringVar(&o.metricsAddress, "metrics-address", ":8080", "address of the metrics; 0 for none")
	flags.StringVar(&o.healthAddress, "health-address", ":8081", "address of /healthz and /readyz")
	flags.BoolVar(&o.leaderElection, "leader-elect", true, "let only one of several operators act")
	flags.StringVar(&o.leaderNamespace, "leader-elect-namespace", "", "namespace of the lease; empty for the operator's own")
	flags.StringVar(&o.ownNamespace, "own-namespace", "", "namespace of the operator's pods, for NetworkPolicies to let them in; empty outside of Kubernetes")
	flags.StringVar(&ownLabels, "own-labels", "", "labels of the operator's pods, as name=value,name=value; with --own-namespace")
	flags.IntVar(&o.concurrency, "concurrency", 10, "RaftClusters looked at at a time, 1 to 100")
	flags.StringVar(&o.logFormat, "log-format", "json", "json or text")
	flags.TextVar(&o.logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
	flags.BoolVar(&o.showVersion, "version", false, "print the version and exit")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	for name := range strings.SplitSeq(namespaces, ",") {
		if name = strings.TrimSpace(name); name != "" && !slices.Contains(o.namespaces, name) {
			o.namespaces = append(o.namespaces, name)
		}
	}
	if o.showVersion {
		return o, nil
	}
	var err error
	if o.ownLabels, err = labels.ConvertSelectorToLabelsMap(ownLabels); err != nil {
		return options{}, fmt.Errorf("--own-labels %q: %w", ownLabels, err)
	}
	return o, o.validate()
}

// validate tells everything that is wrong at once.
func (o options) validate() error {
	var errs []error
	if o.nodeImage == "" {
		errs = append(errs, errors.New("--node-image is missing: RaftClusters without an image of their own would have none"))
	}
	for _, name := range o.namespaces {
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			errs = append(errs, fmt.Errorf("--watch-namespaces: %q: %s", name, strings.Join(problems, "; ")))
		}
	}
	if o.ownNamespace != "" {
		if problems := validation.IsDNS1123Label(o.ownNamespace); len(problems) > 0 {
			errs = append(errs, fmt.Errorf("--own-namespace: %q: %s", o.ownNamespace, strings.Join(problems, "; ")))
		}
	}
	if (o.ownNamespace == "") != (len(o.ownLabels) == 0) {
		errs = append(errs, errors.New("--own-namespace and --own-labels belong together: one is missing"))
	}
	if o.concurrency < 1 || o.concurrency > 100 {
		errs = append(errs, fmt.Errorf("--concurrency %d is outside 1 to 100", o.concurrency))
	}
	if o.logFormat != "json" && o.logFormat != "text" {
		errs = append(errs, fmt.Errorf("--log-format %q is neither json nor text", o.logFormat))
	}
	return errors.Join(errs...)
}
