package controller

import (
	"context"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

func TestClusterBecomesReadyAndNodesLearnThatItExists(t *testing.T) {
	e := apiServer(t)
	c := e.create(t, e.namespace(t), v1.RaftClusterSpec{})
	c.awaitCondition(v1.ConditionAvailable, metav1.ConditionFalse, v1.ReasonBootstrapping)
	config := awaitObject(c, &corev1.ConfigMap{}, "cfg-config", nil)
	if !strings.Contains(config.Data["node.yaml"], "initial-state: new") {
		t.Errorf("before any leader the nodes are told:\n%s", config.Data["node.yaml"])
	}
	c.start()
	c.awaitCondition(v1.ConditionReady, metav1.ConditionTrue, v1.ReasonAllGood)
	c.awaitCondition(v1.ConditionReconciling, metav1.ConditionFalse, v1.ReasonSettled)
	c.must(c.get(config, "cfg-config"))
	if !strings.Contains(config.Data["node.yaml"], "initial-state: existing") {
		t.Errorf("after the first leader the nodes are told:\n%s", config.Data["node.yaml"])
	}
	status := c.resource().Status
	for ordinal := range int32(3) {
		claim := &corev1.PersistentVolumeClaim{}
		c.must(c.get(claim, resources.ClaimName("cfg", ordinal)))
		if claim.Annotations[v1.AnnotationClusterID] != status.ClusterID {
			t.Errorf("%s carries cluster ID %q, want %q", claim.Name, claim.Annotations[v1.AnnotationClusterID], status.ClusterID)
		}
	}
	if len(status.ClusterID) != 32 || status.Leader != "cfg-0" || status.Voters != 3 || status.ReadyReplicas != 3 || len(status.Members) != 3 {
		t.Errorf("status is %+v", status)
	}
	c.awaitEvent(v1.ReasonLeaderHasQuorum)
}

func (c *fakeCluster) awaitEvent(reason string) {
	c.t.Helper()
	eventually(c.t, func() string {
		var events eventsv1.EventList
		c.must(c.admin.List(c.t.Context(), &events, client.InNamespace(c.namespace)))
		for _, event := range events.Items {
			if event.Reason == reason && event.Regarding.Kind == v1.KindRaftCluster {
				return ""
			}
		}
		return fmt.Sprintf("among %d events none has reason %s", len(events.Items), reason)
	})
}

// ready makes a cluster and waits until it is at rest.
func (e *environment) ready(t *testing.T) *fakeCluster {
	t.Helper()
	c := e.create(t, e.namespace(t), v1.RaftClusterSpec{})
	c.start()
	c.awaitCondition(v1.ConditionReady, metav1.ConditionTrue, v1.ReasonAllGood)
	c.awaitCondition(v1.ConditionReconciling, metav1.ConditionFalse, v1.ReasonSettled)
	return c
}

func TestPassesWithoutAChangeWriteNothing(t *testing.T) {
	e := apiServer(t)
	c := e.ready(t)
	before := e.writes.Load()
	for i := range 20 {
		asked, _ := e.members.lastAsked(c.url(0))
		pod := &corev1.Pod{}
		c.must(c.get(pod, "cfg-0"))
		changed := pod.DeepCopy()
		metav1.SetMetaDataAnnotation(&changed.ObjectMeta, "test/nudge", fmt.Sprint(i))
		c.must(e.admin.Patch(t.Context(), changed, client.MergeFrom(pod)))
		eventually(t, func() string {
			if now, _ := e.members.lastAsked(c.url(0)); now > asked {
				return ""
			}
			return "no pass has come"
		})
	}
	if writes := e.writes.Load() - before; writes != 0 {
		t.Errorf("20 passes over a cluster at rest made %d writes", writes)
	}
}

func TestDeletedObjectsComeBack(t *testing.T) {
	e := apiServer(t)
	c := e.ready(t)
	id := c.resource().Status.ClusterID
	for _, object := range ownedObjects(c.resource()) {
		name := object.GetName()
		c.must(c.get(object, name))
		uid := object.GetUID()
		c.must(e.admin.Delete(t.Context(), object))
		awaitObject(c, object, name, func(object client.Object) bool { return object.GetUID() != uid })
	}
	config := awaitObject(c, &corev1.ConfigMap{}, "cfg-config", nil)
	if config.Annotations[v1.AnnotationClusterID] != id || !strings.Contains(config.Data["node.yaml"], "initial-state: existing") {
		t.Errorf("the ConfigMap came back as %v\n%s", config.Annotations, config.Data["node.yaml"])
	}
}

func TestEditedObjectsAreCorrected(t *testing.T) {
	e := apiServer(t)
	c := e.ready(t)
	set := &appsv1.StatefulSet{}
	c.must(c.get(set, "cfg"))
	before := set.DeepCopy()
	*set.Spec.Replicas = 0
	c.must(e.admin.Patch(t.Context(), set, client.MergeFrom(before)))
	awaitObject(c, set, "cfg", func(set *appsv1.StatefulSet) bool { return *set.Spec.Replicas == 3 })

	budget := &policyv1.PodDisruptionBudget{}
	c.must(c.get(budget, "cfg"))
	budgetBefore := budget.DeepCopy()
	budget.Spec.MinAvailable.IntVal = 0
	c.must(e.admin.Patch(t.Context(), budget, client.MergeFrom(budgetBefore)))
	awaitObject(c, budget, "cfg", func(budget *policyv1.PodDisruptionBudget) bool { return budget.Spec.MinAvailable.IntVal == 2 })
}

func TestFieldsThatAreNoLongerWantedGo(t *testing.T) {
	e := apiServer(t)
	c := e.create(t, e.namespace(t), v1.RaftClusterSpec{Client: v1.ClientSpec{Service: v1.ServiceSpec{
		Annotations: map[string]string{"lb.test/a": "1", "lb.test/b": "2"},
	}}})
	service := awaitObject(c, &corev1.Service{}, "cfg", func(service *corev1.Service) bool { return service.Annotations["lb.test/b"] == "2" })
	before := service.DeepCopy()
	metav1.SetMetaDataAnnotation(&service.ObjectMeta, "others.test/note", "stays")
	c.must(e.admin.Patch(t.Context(), service, client.MergeFrom(before)))

	cluster := c.resource()
	clusterBefore := cluster.DeepCopy()
	delete(cluster.Spec.Client.Service.Annotations, "lb.test/b")
	c.must(e.admin.Patch(t.Context(), cluster, client.MergeFrom(clusterBefore)))
	awaitObject(c, service, "cfg", func(service *corev1.Service) bool {
		_, there := service.Annotations["lb.test/b"]
		return !there && service.Annotations["lb.test/a"] == "1" && service.Annotations["others.test/note"] == "stays"
	})
}

func TestSecretsAreMadeOnceAndNeverOverwritten(t *testing.T) {
	e := apiServer(t)
	c := e.ready(t)
	secret := &corev1.Secret{}
	c.must(c.get(secret, "cfg-operator"))
	if token := secret.Data["token"]; len(token) != 64 {
		t.Errorf("the token has %d characters, want 64", len(token))
	}
	admin := &corev1.Secret{}
	c.must(c.get(admin, "cfg-admin"))
	if string(admin.Data["token"]) == string(secret.Data["token"]) {
		t.Error("people and the operator have the same token")
	}
	secret.Data["token"] = []byte("chosen by hand\n")
	c.must(e.admin.Update(t.Context(), secret))
	// Something that makes the operator apply all kinds of objects again.
	c.must(e.admin.DeleteAllOf(t.Context(), &corev1.Service{}, client.InNamespace(c.namespace)))
	awaitObject(c, &corev1.Service{}, "cfg", nil)
	eventually(t, func() string {
		if _, token := e.members.lastAsked(c.url(0)); token != "chosen by hand" {
			return fmt.Sprintf("members are asked with token %q", token)
		}
		return ""
	})
	c.must(c.get(secret, "cfg-operator"))
	if got := string(secret.Data["token"]); got != "chosen by hand\n" {
		t.Errorf("the operator has overwritten the token with %q", got)
	}
}

func TestImageThatCannotBePulledIsNamedInACondition(t *testing.T) {
	e := apiServer(t)
	c := e.create(t, e.namespace(t), v1.RaftClusterSpec{Image: v1.ImageSpec{Reference: "registry.test/no/such:image"}})
	c.start()
	c.setPod("cfg-1", corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "Back-off 40s"}}, corev1.ConditionFalse)
	condition := c.awaitCondition(v1.ConditionMembersReady, metav1.ConditionFalse, v1.ReasonImagePullFailed)
	for _, want := range []string{"cfg-1", "registry.test/no/such:image"} {
		if !strings.Contains(condition.Message, want) {
			t.Errorf("the message doesn't name %s: %s", want, condition.Message)
		}
	}
	c.awaitCondition(v1.ConditionReady, metav1.ConditionFalse, v1.ReasonImagePullFailed)
}

func TestSameNameInTwoNamespacesIsTwoClusters(t *testing.T) {
	e := apiServer(t)
	a, b := e.ready(t), e.ready(t)
	if a.resource().Status.ClusterID == b.resource().Status.ClusterID {
		t.Error("both have the same cluster ID")
	}
	a.must(e.admin.Delete(t.Context(), a.resource()))
	b.awaitCondition(v1.ConditionReady, metav1.ConditionTrue, v1.ReasonAllGood)
}

func TestObjectsOfOthersAreLeftAlone(t *testing.T) {
	e := apiServer(t)
	namespace := e.namespace(t)
	theirs := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "cfg", Namespace: namespace},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}
	if err := e.admin.Create(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	c := e.create(t, namespace, v1.RaftClusterSpec{})
	condition := c.awaitCondition(v1.ConditionStalled, metav1.ConditionTrue, v1.ReasonNameConflict)
	if !strings.Contains(condition.Message, "Service cfg") {
		t.Errorf("the message doesn't name the Service: %s", condition.Message)
	}
	after := &corev1.Service{}
	c.must(c.get(after, "cfg"))
	if after.ResourceVersion != theirs.ResourceVersion {
		t.Error("somebody else's Service was changed")
	}
	c.awaitEvent(v1.ReasonNameConflict)
}

func TestRecreatedResourceTakesUpItsVolumes(t *testing.T) {
	e := apiServer(t)
	c := e.ready(t)
	id := c.resource().Status.ClusterID
	c.must(e.admin.Delete(t.Context(), c.resource()))
	for ordinal := range int32(3) {
		e.members.set(c.url(ordinal), nil)
	}
	again := &fakeCluster{t: t, environment: e, namespace: c.namespace, name: c.name}
	cluster := &v1.RaftCluster{ObjectMeta: metav1.ObjectMeta{Name: c.name, Namespace: c.namespace}}
	c.must(e.admin.Create(t.Context(), cluster))
	again.awaitCondition(v1.ConditionReconciling, metav1.ConditionTrue, v1.ReasonWaitingForDeletion)
	again.clear()
	config := awaitObject(again, &corev1.ConfigMap{}, "cfg-config", func(config *corev1.ConfigMap) bool {
		return config.OwnerReferences[0].UID == cluster.UID
	})
	if config.Annotations[v1.AnnotationClusterID] != id || !strings.Contains(config.Data["node.yaml"], "initial-state: existing") {
		t.Errorf("the new resource starts with %v, want cluster ID %s and existing", config.Annotations, id)
	}
}

func TestPausedClusterIsOnlyWatched(t *testing.T) {
	e := apiServer(t)
	c := e.ready(t)
	cluster := c.resource()
	before := cluster.DeepCopy()
	cluster.Spec.ReconcilePolicy = v1.ReconcilePaused
	c.must(e.admin.Patch(t.Context(), cluster, client.MergeFrom(before)))
	c.awaitCondition(v1.ConditionPaused, metav1.ConditionTrue, v1.ReasonPausedBySpec)
	c.must(e.admin.Delete(t.Context(), named(&corev1.Service{}, cluster, "cfg")))
	c.setPod("cfg-2", corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}, corev1.ConditionFalse)
	c.awaitCondition(v1.ConditionMembersReady, metav1.ConditionFalse, v1.ReasonMemberNotReady)
	if err := c.get(&corev1.Service{}, "cfg"); !apierrors.IsNotFound(err) {
		t.Errorf("the deleted Service of a paused cluster came back: %v", err)
	}
}

func TestOutdatedPodsAreDeletedOneByOne(t *testing.T) {
	e := apiServer(t)
	c := e.ready(t)
	cluster := c.resource()
	before := cluster.DeepCopy()
	cluster.Spec.Image.Reference = "registry.test/conclave:2"
	c.must(e.admin.Patch(t.Context(), cluster, client.MergeFrom(before)))
	awaitObject(c, &appsv1.StatefulSet{}, "cfg", func(set *appsv1.StatefulSet) bool {
		return set.Spec.Template.Spec.Containers[0].Image == "registry.test/conclave:2"
	})
	set := c.roll("revision-2")
	for _, ordinal := range []int32{1, 2, 0} {
		eventually(t, func() string {
			if err := c.get(&corev1.Pod{}, resources.PodName("cfg", ordinal)); !apierrors.IsNotFound(err) {
				return fmt.Sprintf("cfg-%d is still there (%v)", ordinal, err)
			}
			return ""
		})
		pods, err := listPods(t.Context(), e.admin, cluster)
		c.must(err)
		if len(pods) != 2 {
			t.Errorf("beside cfg-%d, %d pods are left, want 2", ordinal, len(pods))
		}
		c.makePod(set, ordinal)
	}
	c.awaitCondition(v1.ConditionMembersUpdated, metav1.ConditionTrue, v1.ReasonAllMembersUpdated)
}

func TestRefusalOfTheAPIServerIsTold(t *testing.T) {
	e := apiServer(t)
	c := e.create(t, e.namespace(t), v1.RaftClusterSpec{Pod: v1.PodSpec{Labels: map[string]string{"not a label": "x"}}})
	condition := c.awaitCondition(v1.ConditionStalled, metav1.ConditionTrue, v1.ReasonRequestRefused)
	if !strings.Contains(condition.Message, "not a label") {
		t.Errorf("the message doesn't say what was refused: %s", condition.Message)
	}
}

func TestOperatorMayNotListSecretsOrTouchOthersPods(t *testing.T) {
	e := apiServer(t)
	operator, err := client.New(e.operatorConfig(operatorAccount), client.Options{Scheme: e.scheme})
	if err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]func() error{
		"list Secrets": func() error { return operator.List(t.Context(), &corev1.SecretList{}) },
		"create a pod": func() error {
			return operator.Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default"}})
		},
		"create a claim": func() error {
			return operator.Create(t.Context(), &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "c", Namespace: "default"}})
		},
	} {
		if err := try(); !apierrors.IsForbidden(err) {
			t.Errorf("%s: got %v, want it to be forbidden", name, err)
		}
	}
}

func TestNamespacedOperatorNeedsRightsInItsNamespacesOnly(t *testing.T) {
	e := apiServer(t)
	const account = "namespaced-operator"
	mine, other := e.namespace(t), e.namespace(t)
	if err := e.grant(mine, account); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	config := e.operatorConfig(account)
	seen := &fakeMembers{}
	namespaced := &environment{env: e.env, scheme: e.scheme, admin: e.admin, members: seen}
	stopped, err := namespaced.runOperator(ctx, config, []string{mine})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Errorf("the namespaced operator ended with %v", err)
		}
	}()
	a, b := e.create(t, mine, v1.RaftClusterSpec{}), e.create(t, other, v1.RaftClusterSpec{})
	a.start()
	b.start()
	a.awaitCondition(v1.ConditionReady, metav1.ConditionTrue, v1.ReasonAllGood)
	b.awaitCondition(v1.ConditionReady, metav1.ConditionTrue, v1.ReasonAllGood)
	eventually(t, func() string {
		if asked, _ := seen.lastAsked(a.url(0)); asked == 0 {
			return "the namespaced operator hasn't looked at its cluster"
		}
		return ""
	})
	if asked, _ := seen.lastAsked(b.url(0)); asked > 0 {
		t.Error("the namespaced operator has looked at a cluster in another namespace")
	}
}
