package resources

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// revisionHistoryLimit is how many earlier pod templates the StatefulSet keeps.
const revisionHistoryLimit = 3

// StatefulSet gives each member its pod and its volume.
//
// All pods start at once, since members wait for each other to form the cluster.
// Outdated pods are replaced by the operator (OnDelete), which knows who leads
// and who takes part. The number of replicas is always sent: leaving it out would
// make the API server set it to 1. Claims outlive a smaller number of replicas,
// so that nobody erases a member's log by scaling the StatefulSet by hand.
func StatefulSet(in Input) *appsv1.StatefulSet {
	meta := objectMeta(in, in.Cluster.Name)
	meta.Annotations = identityAnnotations(in)
	return &appsv1.StatefulSet{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"},
		ObjectMeta: meta,
		Spec: appsv1.StatefulSetSpec{
			Replicas:             ptr.To(in.Members),
			ServiceName:          PeersServiceName(in.Cluster.Name),
			PodManagementPolicy:  appsv1.ParallelPodManagement,
			RevisionHistoryLimit: ptr.To[int32](revisionHistoryLimit),
			UpdateStrategy:       appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType},
			Selector:             &metav1.LabelSelector{MatchLabels: SelectorLabels(in.Cluster.Name)},
			PersistentVolumeClaimRetentionPolicy: &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
				WhenDeleted: appsv1.PersistentVolumeClaimRetentionPolicyType(in.Cluster.Spec.Storage.Retention.WhenDeleted),
				WhenScaled:  appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
			},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{claimTemplate(in)},
			Template:             podTemplate(in),
		},
	}
}

func claimTemplate(in Input) corev1.PersistentVolumeClaim {
	storage := in.Cluster.Spec.Storage
	return corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Name:   claimTemplateName,
			Labels: Labels(in.Cluster.Name),
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: storage.StorageClassName,
			VolumeMode:       ptr.To(corev1.PersistentVolumeFilesystem),
			Resources: corev1.VolumeResourceRequirements{
				Requests: keptAmounts(corev1.ResourceList{corev1.ResourceStorage: storage.Size}),
			},
		},
	}
}
