package v1

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// MaxNameLength is the longest name that a RaftCluster may have: the label
// controller-revision-hash of its pods is name, dash and hash, and must stay
// within 63 characters.
const MaxNameLength = 45

// MaxReplicas is the largest number of members.
const MaxReplicas = 7

// Validate tells what is wrong with the resource by itself, all of it at once.
// The schema has the same rules; they are checked again because a resource may
// be older than a rule, or come from a cluster whose schema somebody has edited.
// What may not change between two versions of a resource only the schema knows,
// and what is handed to Kubernetes as it is, the API server.
func (c *RaftCluster) Validate() field.ErrorList {
	spec := field.NewPath("spec")
	return slices.Concat(
		validateName(c.Name),
		oneOf(spec.Child("replicas"), c.Spec.Replicas, 1, 3, 5, 7),
		oneOf(spec.Child("reconcilePolicy"), c.Spec.ReconcilePolicy, ReconcileManaged, ReconcilePaused),
		c.Spec.Image.validate(spec.Child("image")),
		c.Spec.Storage.validate(spec.Child("storage")),
		c.Spec.Recovery.MemberReplacement.validate(spec.Child("recovery", "memberReplacement")),
		c.Spec.Raft.validate(spec.Child("raft")),
		c.Spec.Client.validate(spec.Child("client")),
		c.Spec.Pod.validate(spec.Child("pod")),
		c.Spec.NetworkPolicy.validate(spec.Child("networkPolicy")),
	)
}

func validateName(name string) field.ErrorList {
	path := field.NewPath("metadata", "name")
	errs := noLonger(path, name, MaxNameLength)
	for _, problem := range validation.IsDNS1035Label(name) {
		errs = append(errs, field.Invalid(path, name, problem))
	}
	return errs
}

func (i *ImageSpec) validate(path *field.Path) field.ErrorList {
	errs := slices.Concat(
		noLonger(path.Child("reference"), i.Reference, 512),
		matches(path.Child("reference"), i.Reference, noWhiteSpace, "must not contain white space"),
		oneOf(path.Child("pullPolicy"), i.PullPolicy, corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever),
		noMore(path.Child("pullSecrets"), len(i.PullSecrets), 8),
	)
	seen := map[string]bool{}
	for n, secret := range i.PullSecrets {
		path := path.Child("pullSecrets").Index(n)
		if secret.Name == "" {
			errs = append(errs, field.Required(path.Child("name"), "names a Secret"))
		}
		errs = append(errs, noLonger(path.Child("name"), secret.Name, 253)...)
		if seen[secret.Name] {
			errs = append(errs, field.Duplicate(path, secret.Name))
		}
		seen[secret.Name] = true
	}
	return errs
}

func (s *StorageSpec) validate(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.Size.Sign() <= 0 {
		errs = append(errs, field.Invalid(path.Child("size"), s.Size.String(), "must be above zero"))
	}
	if s.StorageClassName != nil {
		errs = append(errs, noLonger(path.Child("storageClassName"), *s.StorageClassName, 253)...)
	}
	return slices.Concat(errs,
		oneOf(path.Child("retention", "whenDeleted"), s.Retention.WhenDeleted, RetentionRetain, RetentionDelete),
		oneOf(path.Child("retention", "whenScaled"), s.Retention.WhenScaled, RetentionRetain, RetentionDelete),
	)
}

func (m *MemberReplacementSpec) validate(path *field.Path) field.ErrorList {
	return slices.Concat(
		oneOf(path.Child("mode"), m.Mode, ReplacementAutomatic, ReplacementManual),
		within(path.Child("afterSeconds"), m.AfterSeconds, 60, 604800, 1),
	)
}

func (r *RaftSpec) validate(path *field.Path) field.ErrorList {
	errs := slices.Concat(
		within(path.Child("heartbeatIntervalMilliseconds"), r.HeartbeatIntervalMilliseconds, 10, 10000, 10),
		within(path.Child("electionTimeoutMinMilliseconds"), r.ElectionTimeoutMinMilliseconds, 50, 60000, 10),
		within(path.Child("electionTimeoutMaxMilliseconds"), r.ElectionTimeoutMaxMilliseconds, 60, 120000, 10),
		within(path.Child("snapshotThresholdEntries"), r.SnapshotThresholdEntries, 100, 10000000, 1),
	)
	if int64(r.ElectionTimeoutMinMilliseconds) < 5*int64(r.HeartbeatIntervalMilliseconds) {
		errs = append(errs, field.Invalid(path.Child("electionTimeoutMinMilliseconds"), r.ElectionTimeoutMinMilliseconds,
			"must be at least five times heartbeatIntervalMilliseconds"))
	}
	if r.ElectionTimeoutMaxMilliseconds <= r.ElectionTimeoutMinMilliseconds {
		errs = append(errs, field.Invalid(path.Child("electionTimeoutMaxMilliseconds"), r.ElectionTimeoutMaxMilliseconds,
			"must be above electionTimeoutMinMilliseconds"))
	}
	return errs
}

func (c *ClientSpec) validate(path *field.Path) field.ErrorList {
	hosts, service := path.Child("hosts"), path.Child("service")
	errs := noMore(hosts, len(c.Hosts), 32)
	for i, host := range c.Hosts {
		errs = append(errs, noLonger(hosts.Index(i), host, 253)...)
		errs = append(errs, matches(hosts.Index(i), host, hostName, "must be a name of lower case letters, digits, '-' and '.', whose last label may be '*'")...)
		if slices.Contains(c.Hosts[:i], host) {
			errs = append(errs, field.Duplicate(hosts.Index(i), host))
		}
	}
	return slices.Concat(errs,
		oneOf(service.Child("type"), c.Service.Type, corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer),
		noMore(service.Child("annotations"), len(c.Service.Annotations), 32),
		ownPrefixes(service.Child("annotations"), c.Service.Annotations, "conclave.dev/"),
	)
}

func (p *PodSpec) validate(path *field.Path) field.ErrorList {
	return slices.Concat(
		noMore(path.Child("labels"), len(p.Labels), 32),
		ownPrefixes(path.Child("labels"), p.Labels, "conclave.dev/", "app.kubernetes.io/"),
		noMore(path.Child("annotations"), len(p.Annotations), 32),
		ownPrefixes(path.Child("annotations"), p.Annotations, "conclave.dev/"),
		noMore(path.Child("resources", "requests"), len(p.Resources.Requests), 16),
		noMore(path.Child("resources", "limits"), len(p.Resources.Limits), 16),
		noMore(path.Child("topologySpreadConstraints"), len(p.TopologySpreadConstraints), 8),
		noMore(path.Child("tolerations"), len(p.Tolerations), 32),
		noMore(path.Child("nodeSelector"), len(p.NodeSelector), 32),
		noLonger(path.Child("priorityClassName"), p.PriorityClassName, 253),
		within(path.Child("terminationGracePeriodSeconds"), p.TerminationGracePeriodSeconds, 10, 600, 1),
	)
}
