package controller

import (
	"context"
	"fmt"
	"testing"

	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// candidate is an operator that competes for the lease, and nothing else.
type candidate struct {
	manager.Manager
	stop    context.CancelFunc
	stopped chan error
}

func (e *environment) candidate(t *testing.T, namespace, account string) *candidate {
	t.Helper()
	mgr, err := ctrl.NewManager(e.operatorConfig(account), ctrl.Options{
		Scheme:                        e.scheme,
		Metrics:                       server.Options{BindAddress: "0"},
		LeaderElection:                true,
		LeaderElectionID:              "conclave-operator",
		LeaderElectionNamespace:       namespace,
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c := &candidate{mgr, cancel, make(chan error, 1)}
	go func() { c.stopped <- mgr.Start(ctx) }()
	return c
}

// end stops a candidate, which gives the lease back.
func (c *candidate) end(t *testing.T) {
	t.Helper()
	c.stop()
	if err := <-c.stopped; err != nil {
		t.Errorf("an operator ends with %v", err)
	}
}

func (c *candidate) leads() bool {
	select {
	case <-c.Elected():
		return true
	default:
		return false
	}
}

// The rules that the chart grants for it are enough to take the lease, to tell of
// it and to give it back.
func TestOperatorsTakeTurnsWithTheRulesOfTheChart(t *testing.T) {
	e := apiServer(t)
	namespace := e.namespace(t)
	const account = "turns"
	rules, err := rulesOf("lease-rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	meta := metav1.ObjectMeta{Name: account, Namespace: namespace}
	for _, object := range []client.Object{
		&rbacv1.Role{ObjectMeta: meta, Rules: rules},
		&rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: account},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: account, Namespace: "default"}}},
	} {
		if err := e.admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	first, second := e.candidate(t, namespace, account), e.candidate(t, namespace, account)
	eventually(t, func() string {
		if first.leads() || second.leads() {
			return ""
		}
		return "no operator has the lease"
	})
	if first.leads() && second.leads() {
		t.Fatal("both operators have the lease")
	}
	if second.leads() {
		first, second = second, first
	}
	first.end(t)
	eventually(t, func() string {
		if second.leads() {
			return ""
		}
		return "the lease that was given back isn't taken"
	})
	eventually(t, func() string {
		var events eventsv1.EventList
		if err := e.admin.List(t.Context(), &events, client.InNamespace(namespace)); err != nil {
			return err.Error()
		}
		if len(events.Items) < 2 {
			return fmt.Sprintf("%d events tell of two turns", len(events.Items))
		}
		return ""
	})
	second.end(t)
}
