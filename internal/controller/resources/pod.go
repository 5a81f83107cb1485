package resources

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	v1 "github.com/conclave-dev/conclave/api/v1"
)

// ContainerName is the name of the pods' one container.
const ContainerName = "node"

// userID is the user and group that the node runs as, and that owns its volume.
const userID = 65532

// rfc3339 is the layout of a time in an object's JSON.
const rfc3339 = "2006-01-02T15:04:05Z07:00"

// podTemplate is the same for every member and every number of members.
func podTemplate(in Input) corev1.PodTemplateSpec {
	pod := in.Cluster.Spec.Pod
	labels := maps.Clone(pod.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, Labels(in.Cluster.Name))
	annotations := maps.Clone(pod.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[v1.AnnotationConfigHash] = configHash(in)
	if restarted := in.Cluster.Spec.RestartedTime; restarted != nil {
		annotations[v1.AnnotationRestartedTime] = restarted.UTC().Format(rfc3339)
	}
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: annotations},
		Spec: corev1.PodSpec{
			ServiceAccountName:            in.Cluster.Name,
			AutomountServiceAccountToken:  ptr.To(false),
			EnableServiceLinks:            ptr.To(false),
			SecurityContext:               podSecurity(),
			TerminationGracePeriodSeconds: ptr.To(pod.TerminationGracePeriodSeconds),
			ImagePullSecrets:              pullSecrets(in),
			Affinity:                      affinity(in),
			TopologySpreadConstraints:     spreadConstraints(in),
			Tolerations:                   pod.Tolerations,
			NodeSelector:                  pod.NodeSelector,
			PriorityClassName:             pod.PriorityClassName,
			Containers:                    []corev1.Container{nodeContainer(in)},
			Volumes:                       []corev1.Volume{configVolume(in)},
		},
	}
}

// podSecurity meets the restricted standard. The volume's owner is changed only
// when its root isn't right yet, since a large volume takes minutes.
func podSecurity() *corev1.PodSecurityContext {
	return &corev1.PodSecurityContext{
		RunAsNonRoot:        ptr.To(true),
		RunAsUser:           ptr.To[int64](userID),
		RunAsGroup:          ptr.To[int64](userID),
		FSGroup:             ptr.To[int64](userID),
		FSGroupChangePolicy: ptr.To(corev1.FSGroupChangeOnRootMismatch),
		SeccompProfile:      &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

func nodeContainer(in Input) corev1.Container {
	return corev1.Container{
		Name:            ContainerName,
		Image:           in.Image(),
		ImagePullPolicy: in.Cluster.Spec.Image.PullPolicy,
		Command:         []string{"/node"},
		Args:            []string{"--config", configDir + "/" + configKey},
		Ports: []corev1.ContainerPort{
			{Name: "http", ContainerPort: PortClient, Protocol: corev1.ProtocolTCP},
			{Name: "peer", ContainerPort: PortPeer, Protocol: corev1.ProtocolTCP},
			{Name: "ops", ContainerPort: PortOps, Protocol: corev1.ProtocolTCP},
		},
		Resources: corev1.ResourceRequirements{
			Requests: keptAmounts(in.Cluster.Spec.Pod.Resources.Requests),
			Limits:   keptAmounts(in.Cluster.Spec.Pod.Resources.Limits),
		},
		// A long log may be replayed before the first answer: five minutes.
		StartupProbe: probe("/livez", 1, 5, 300),
		// Killing a node that only waits for its disk makes things worse: a
		// minute.
		LivenessProbe:  probe("/livez", 10, 5, 6),
		ReadinessProbe: probe("/readyz", 2, 2, 3),
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: ptr.To(false),
			ReadOnlyRootFilesystem:   ptr.To(true),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		VolumeMounts: []corev1.VolumeMount{
			{Name: claimTemplateName, MountPath: dataDir},
			{Name: "config", MountPath: configDir, ReadOnly: true},
		},
	}
}

// keptAmounts are amounts as the API server keeps them: in whole thousandths,
// rounded up. Asking for anything finer would never be seen fulfilled.
func keptAmounts(asked corev1.ResourceList) corev1.ResourceList {
	if asked == nil {
		return nil
	}
	kept := make(corev1.ResourceList, len(asked))
	for name, amount := range asked {
		amount = amount.DeepCopy()
		amount.RoundUp(resource.Milli)
		kept[name] = amount
	}
	return kept
}

func probe(path string, periodSeconds, timeoutSeconds, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{
			HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("ops"), Scheme: corev1.URISchemeHTTP},
		},
		PeriodSeconds:    periodSeconds,
		TimeoutSeconds:   timeoutSeconds,
		SuccessThreshold: 1,
		FailureThreshold: failures,
	}
}

// configVolume puts the configuration file and both tokens into one directory. A
// volume inside another read-only one couldn't be mounted.
func configVolume(in Input) corev1.Volume {
	name := in.Cluster.Name
	token := func(secret, path string) corev1.VolumeProjection {
		return corev1.VolumeProjection{Secret: &corev1.SecretProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: secret},
			Items:                []corev1.KeyToPath{{Key: TokenKey, Path: path}},
		}}
	}
	return corev1.Volume{
		Name: "config",
		VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			DefaultMode: ptr.To[int32](0o440),
			Sources: []corev1.VolumeProjection{
				{ConfigMap: &corev1.ConfigMapProjection{
					LocalObjectReference: corev1.LocalObjectReference{Name: ConfigMapName(name)},
					Items:                []corev1.KeyToPath{{Key: configKey, Path: configKey}},
				}},
				token(AdminSecretName(name), adminTokenPath),
				token(OperatorSecretName(name), operatorTokenPath),
			},
		}},
	}
}

func pullSecrets(in Input) []corev1.LocalObjectReference {
	var secrets []corev1.LocalObjectReference
	for _, secret := range in.Cluster.Spec.Image.PullSecrets {
		secrets = append(secrets, corev1.LocalObjectReference{Name: secret.Name})
	}
	return secrets
}

// affinity is the resource's own, or else prefers to keep members out of each
// other's zones, as long as the resource says nothing about spreading either.
//
// Zones aren't a second spread constraint: the scheduler takes a node that lacks
// the label of one of them out of the scoring of all, so that on machines without
// zones several members would come to lie on one node.
func affinity(in Input) *corev1.Affinity {
	pod := in.Cluster.Spec.Pod
	if pod.Affinity != nil || pod.TopologySpreadConstraints != nil {
		return pod.Affinity
	}
	return &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{
			Weight: 100,
			PodAffinityTerm: corev1.PodAffinityTerm{
				TopologyKey:   corev1.LabelTopologyZone,
				LabelSelector: &metav1.LabelSelector{MatchLabels: SelectorLabels(in.Cluster.Name)},
			},
		}},
	}}
}

// spreadConstraints are the resource's own, or else prefer different nodes. They
// only prefer: a cluster that has too few of them should still start.
func spreadConstraints(in Input) []corev1.TopologySpreadConstraint {
	selector := &metav1.LabelSelector{MatchLabels: SelectorLabels(in.Cluster.Name)}
	if in.Cluster.Spec.Pod.TopologySpreadConstraints == nil {
		return []corev1.TopologySpreadConstraint{{
			MaxSkew:           1,
			TopologyKey:       corev1.LabelHostname,
			WhenUnsatisfiable: corev1.ScheduleAnyway,
			LabelSelector:     selector,
		}}
	}
	var constraints []corev1.TopologySpreadConstraint
	for _, constraint := range in.Cluster.Spec.Pod.TopologySpreadConstraints {
		if constraint.LabelSelector == nil {
			constraint.LabelSelector = selector
		}
		constraints = append(constraints, constraint)
	}
	return constraints
}
