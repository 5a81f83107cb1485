package controller

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/uuid"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

// errInjected is what a call ends with that was made to fail.
var errInjected = errors.New("injected: no answer came")

// faults make calls of the operator fail, drawn from a seed: before anything was
// done, or after all of it was. It also lets reads through the cache see what was
// there a while ago. A pass that ends in an error leaves nothing behind in memory,
// so each is also an operator that was killed there.
type faults struct {
	random *rand.Rand
	// oneIn is how many calls there are for one that fails; 0 for none.
	oneIn int
	// seen is what the cache has shown of each object.
	seen map[string]client.Object
	// injected counts what was made to fail, and stale what was old.
	injected, stale int
}

// around makes a call, or fails before it or after.
func (f *faults) around(call func() error) error {
	if f.oneIn == 0 || f.random.IntN(f.oneIn) != 0 {
		return call()
	}
	f.injected++
	if f.random.IntN(2) == 0 {
		return errInjected
	}
	return errors.Join(errInjected, call())
}

// lag replaces an object that has changed by what an earlier read has seen, every
// other time.
func (f *faults) lag(object client.Object) {
	key := fmt.Sprintf("%T %s", object, object.GetName())
	before := f.seen[key]
	if f.oneIn != 0 && before != nil && before.GetResourceVersion() != object.GetResourceVersion() && f.random.IntN(2) == 0 {
		f.stale++
		copyInto(before, object)
		return
	}
	f.seen[key] = object.DeepCopyObject().(client.Object)
}

func copyInto(from, to client.Object) {
	switch to := to.(type) {
	case *v1.RaftCluster:
		from.(*v1.RaftCluster).DeepCopyInto(to)
	case *appsv1.StatefulSet:
		from.(*appsv1.StatefulSet).DeepCopyInto(to)
	case *corev1.ConfigMap:
		from.(*corev1.ConfigMap).DeepCopyInto(to)
	}
}

// client is the operator's way to the API server; cached tells whether reads come
// through the cache.
func (f *faults) client(api client.WithWatch, cached bool) client.WithWatch {
	return interceptor.NewClient(api, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			err := f.around(func() error { return c.Get(ctx, key, object, opts...) })
			if err == nil && cached {
				f.lag(object)
			}
			return err
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			return f.around(func() error { return c.List(ctx, list, opts...) })
		},
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.CreateOption) error {
			return f.around(func() error { return c.Create(ctx, object, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.DeleteOption) error {
			return f.around(func() error { return c.Delete(ctx, object, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
			return f.around(func() error { return c.Patch(ctx, object, patch, opts...) })
		},
		Apply: func(ctx context.Context, c client.WithWatch, object runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			return f.around(func() error { return c.Apply(ctx, object, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, object client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			return f.around(func() error { return c.SubResource(sub).Patch(ctx, object, patch, opts...) })
		},
	})
}

// faultyMembers fails as the API server does.
type faultyMembers struct {
	*fakeMembers
	faults *faults
}

func (f faultyMembers) ChangeMembership(ctx context.Context, baseURL, token string, change admin.Change) error {
	return f.faults.around(func() error { return f.fakeMembers.ChangeMembership(ctx, baseURL, token, change) })
}

func (f faultyMembers) TransferLeadership(ctx context.Context, baseURL, token, successor string) error {
	return f.faults.around(func() error { return f.fakeMembers.TransferLeadership(ctx, baseURL, token, successor) })
}

// apiInMemory is an API server as far as the operator needs one: objects get UIDs,
// claims stay until their pod has gone, and a deletion checks its preconditions.
func apiInMemory(t *testing.T, objects ...client.Object) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	store := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1.RaftCluster{}, &appsv1.StatefulSet{}, &corev1.Pod{}, &corev1.PersistentVolumeClaim{}).Build()
	return interceptor.NewClient(store, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.CreateOption) error {
			object.SetUID(uuid.NewUUID())
			if claim, ok := object.(*corev1.PersistentVolumeClaim); ok {
				claim.Finalizers = []string{"kubernetes.io/pvc-protection"}
			}
			return c.Create(ctx, object, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.DeleteOption) error {
			options := client.DeleteOptions{}
			options.ApplyOptions(opts)
			live := object.DeepCopyObject().(client.Object)
			if err := c.Get(ctx, client.ObjectKeyFromObject(object), live); err != nil {
				return err
			}
			if p := options.Preconditions; p != nil && p.UID != nil && *p.UID != live.GetUID() {
				return apierrors.NewConflict(schema.GroupResource{}, object.GetName(), errors.New("another UID"))
			}
			return c.Delete(ctx, object, opts...)
		},
	})
}

// keepsVoters complains of a voter whose pod or volume isn't there: this world
// loses none by itself.
func (c *fakeCluster) keepsVoters(g *group) {
	c.t.Helper()
	set := &appsv1.StatefulSet{}
	if c.get(set, c.name) != nil {
		return
	}
	for _, member := range g.members {
		ordinal, _ := resources.PodOrdinal(c.name, member.Name)
		if member.Role != "Voter" || g.index == 0 {
			continue
		}
		claim := &corev1.PersistentVolumeClaim{}
		if c.get(claim, resources.ClaimName(c.name, ordinal)) != nil || idOn(claim) != member.MemberID || claim.DeletionTimestamp != nil || ordinal >= *set.Spec.Replicas {
			c.t.Fatalf("voter %s (%s) has lost its volume or its pod: %d pods, claim %+v, after %v", member.Name, member.MemberID, *set.Spec.Replicas, claim.ObjectMeta, g.done)
		}
	}
}

// TestScalingSurvivesFaultsOfEveryCall scales out and in while calls fail at
// random, before or after they have had their effect, and the cache lags behind.
func TestScalingSurvivesFaultsOfEveryCall(t *testing.T) {
	seeds := uint64(6)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			cluster := testCluster(3)
			cluster.Spec.NetworkPolicy.Mode = v1.NetworkPolicyDisabled // the client in memory can't apply one
			api := apiInMemory(t, cluster)
			f := &faults{random: rand.New(rand.NewPCG(seed, 1)), seen: map[string]client.Object{}}
			members := &fakeMembers{}
			c := &fakeCluster{t: t, environment: &environment{admin: api, members: members}, namespace: cluster.Namespace, name: cluster.Name}
			r := &Reconciler{
				Client: f.client(api, true), Live: f.client(api, false), Members: faultyMembers{members, f},
				Events: &events.FakeRecorder{}, DefaultImage: testImage,
			}
			g := &group{}
			var last error
			pass := func() {
				_, last = r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(cluster)}) // the next pass is the answer
				c.keepsVoters(g)
				if c.get(&appsv1.StatefulSet{}, c.name) == nil {
					c.play(g)
				}
			}
			for _, size := range []int32{3, 5, 3, 1, 3} {
				c.resize(size)
				f.oneIn = 12
				for range 150 {
					pass()
				}
				f.oneIn = 0
				for range 150 {
					pass()
				}
				if last != nil {
					t.Errorf("without faults a pass ends with %v", last)
				}
				c.isSettled(g, size)
			}
			if f.injected < 100 || f.stale < 50 {
				t.Errorf("only %d calls failed and %d reads were old", f.injected, f.stale)
			}
			t.Logf("%d calls failed, %d reads were old; %d changes of the membership", f.injected, f.stale, len(g.done))
		})
	}
}

// TestMemberIsNotRemovedOnTheWordOfAnOldCache has the cache show a pod as it was
// before its deletion began.
func TestMemberIsNotRemovedOnTheWordOfAnOldCache(t *testing.T) {
	cluster := testCluster(3)
	cluster.Spec.NetworkPolicy.Mode = v1.NetworkPolicyDisabled // the client in memory can't apply one
	api := apiInMemory(t, cluster)
	members := &fakeMembers{}
	c := &fakeCluster{t: t, environment: &environment{admin: api, members: members}, namespace: cluster.Namespace, name: cluster.Name}
	cache := interceptor.NewClient(api, interceptor.Funcs{
		List: func(ctx context.Context, api client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			err := api.List(ctx, list, opts...)
			if pods, ok := list.(*corev1.PodList); ok {
				for i := range pods.Items {
					pods.Items[i].DeletionTimestamp = nil
				}
			}
			return err
		},
	})
	r := &Reconciler{Client: cache, Live: api, Members: members, Events: &events.FakeRecorder{}, DefaultImage: testImage}
	g := &group{}
	passes := func() {
		for range 60 {
			_, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(cluster)})
			c.must(err)
			if c.get(&appsv1.StatefulSet{}, c.name) == nil {
				c.play(g)
			}
		}
	}
	passes()
	c.isSettled(g, 3)
	pod := &corev1.Pod{}
	c.must(c.get(pod, "cfg-1"))
	pod.Finalizers = []string{"test/stays"}
	c.must(api.Update(t.Context(), pod))
	c.must(api.Delete(t.Context(), pod))
	before := len(g.done)
	c.resize(1)
	passes()
	if after := g.done[before:]; len(after) != 0 {
		t.Errorf("while a pod was going the membership changed: %v", after)
	}
}

// resize asks for another number of members.
func (c *fakeCluster) resize(replicas int32) {
	c.t.Helper()
	cluster := c.resource()
	before := cluster.DeepCopy()
	cluster.Spec.Replicas = replicas
	cluster.Generation++ // as an API server would
	c.must(c.admin.Patch(c.t.Context(), cluster, client.MergeFrom(before)))
}

// isSettled compares everything with what is asked.
func (c *fakeCluster) isSettled(g *group, replicas int32) {
	c.t.Helper()
	status := c.resource().Status
	var claims corev1.PersistentVolumeClaimList
	c.must(c.admin.List(c.t.Context(), &claims, client.InNamespace(c.namespace)))
	voters := slices.DeleteFunc(slices.Clone(g.members), func(m admin.Member) bool { return m.Role != "Voter" })
	if status.Voters != replicas || status.Operation != nil || len(voters) != int(replicas) || len(g.members) != int(replicas) || len(claims.Items) != int(replicas) {
		c.t.Fatalf("%d replicas: %d voters told, members %+v, %d claims, operation %+v, conditions %+v",
			replicas, status.Voters, g.members, len(claims.Items), status.Operation, status.Conditions)
	}
}
