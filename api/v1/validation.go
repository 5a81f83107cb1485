package v1

import (
	"slices"
	"strings"

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
// What may not change between two versions of a resource only the schema knows.
func (c *RaftCluster) Validate() field.ErrorList {
	var errs field.ErrorList
	errs = append(errs, validateName(c.Name)...)
	spec := field.NewPath("spec")
	if !slices.Contains([]int32{1, 3, 5, 7}, c.Spec.Replicas) {
		errs = append(errs, field.Invalid(spec.Child("replicas"), c.Spec.Replicas, "must be 1, 3, 5 or 7"))
	}
	if strings.ContainsAny(c.Spec.Image.Reference, " \t\r\n") {
		errs = append(errs, field.Invalid(spec.Child("image", "reference"), c.Spec.Image.Reference, "must not contain white space"))
	}
	if c.Spec.Storage.Size.Sign() <= 0 {
		errs = append(errs, field.Invalid(spec.Child("storage", "size"), c.Spec.Storage.Size.String(), "must be above zero"))
	}
	errs = append(errs, c.Spec.Raft.validate(spec.Child("raft"))...)
	errs = append(errs, c.Spec.Pod.validate(spec.Child("pod"))...)
	errs = append(errs, c.Spec.NetworkPolicy.validate(spec.Child("networkPolicy"))...)
	return append(errs, ownPrefixes(spec.Child("client", "service", "annotations"), c.Spec.Client.Service.Annotations, "conclave.dev/")...)
}

func validateName(name string) field.ErrorList {
	path := field.NewPath("metadata", "name")
	var errs field.ErrorList
	if len(name) > MaxNameLength {
		errs = append(errs, field.TooLong(path, name, MaxNameLength))
	}
	for _, problem := range validation.IsDNS1035Label(name) {
		errs = append(errs, field.Invalid(path, name, problem))
	}
	return errs
}

func (r *RaftSpec) validate(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if r.HeartbeatIntervalMilliseconds <= 0 {
		errs = append(errs, field.Invalid(path.Child("heartbeatIntervalMilliseconds"), r.HeartbeatIntervalMilliseconds, "must be above zero"))
	}
	if int64(r.ElectionTimeoutMinMilliseconds) < 5*int64(r.HeartbeatIntervalMilliseconds) {
		errs = append(errs, field.Invalid(path.Child("electionTimeoutMinMilliseconds"), r.ElectionTimeoutMinMilliseconds,
			"must be at least five times heartbeatIntervalMilliseconds"))
	}
	if r.ElectionTimeoutMaxMilliseconds <= r.ElectionTimeoutMinMilliseconds {
		errs = append(errs, field.Invalid(path.Child("electionTimeoutMaxMilliseconds"), r.ElectionTimeoutMaxMilliseconds,
			"must be above electionTimeoutMinMilliseconds"))
	}
	if r.SnapshotThresholdEntries <= 0 {
		errs = append(errs, field.Invalid(path.Child("snapshotThresholdEntries"), r.SnapshotThresholdEntries, "must be above zero"))
	}
	return errs
}

func (p *PodSpec) validate(path *field.Path) field.ErrorList {
	errs := ownPrefixes(path.Child("labels"), p.Labels, "conclave.dev/", "app.kubernetes.io/")
	errs = append(errs, ownPrefixes(path.Child("annotations"), p.Annotations, "conclave.dev/")...)
	if p.TerminationGracePeriodSeconds <= 0 {
		errs = append(errs, field.Invalid(path.Child("terminationGracePeriodSeconds"), p.TerminationGracePeriodSeconds, "must be above zero"))
	}
	return errs
}

// ownPrefixes refuses keys that the operator keeps for itself.
func ownPrefixes(path *field.Path, entries map[string]string, prefixes ...string) field.ErrorList {
	var errs field.ErrorList
	for key := range entries {
		for _, prefix := range prefixes {
			if strings.HasPrefix(key, prefix) {
				errs = append(errs, field.Forbidden(path.Key(key), "keys under "+prefix+" belong to the operator"))
			}
		}
	}
	slices.SortFunc(errs, func(a, b *field.Error) int { return strings.Compare(a.Field, b.Field) })
	return errs
}
