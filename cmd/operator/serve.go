package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/controller"
)

// leaseName is the lease that operators of one installation compete for.
const leaseName = "conclave-operator"

// serve runs the operator until ctx ends or it loses its lease.
func serve(ctx context.Context, o options) error {
	klog.SetSlogLogger(newLogger(o))
	log := klog.Background()
	ctrl.SetLogger(log)
	kubeconfig, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	mgr, err := newManager(kubeconfig, o)
	if err != nil {
		return err
	}
	log.Info("Starting", "version", version, "nodeImage", o.nodeImage, "namespaces", o.namespaces, "concurrency", o.concurrency)
	return mgr.Start(ctx)
}

func newLogger(o options) *slog.Logger {
	handlerOptions := &slog.HandlerOptions{Level: o.logLevel}
	if o.logFormat == "text" {
		return slog.New(slog.NewTextHandler(os.Stderr, handlerOptions))
	}
	return slog.New(slog.NewJSONHandler(os.Stderr, handlerOptions))
}

// newManager puts the operator together.
func newManager(kubeconfig *rest.Config, o options) (manager.Manager, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("register types: %w", err)
		}
	}
	mgr, err := ctrl.NewManager(kubeconfig, ctrl.Options{
		Scheme:                  scheme,
		Cache:                   controller.CacheOptions(o.namespaces),
		Client:                  controller.ClientOptions(),
		Metrics:                 server.Options{BindAddress: o.metricsAddress},
		HealthProbeBindAddress:  o.healthAddress,
		LeaderElection:          o.leaderElection,
		LeaderElectionID:        leaseName,
		LeaderElectionNamespace: o.leaderNamespace,
		// The process ends when it has stopped leading, so the lease may be given
		// back at once rather than run out.
		LeaderElectionReleaseOnCancel: true,
		// One that waits for the lease has its cache full already.
		Controller: config.Controller{EnableWarmup: ptr.To(true)},
	})
	if err != nil {
		return nil, fmt.Errorf("make the manager: %w", err)
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, fmt.Errorf("add the health check: %w", err)
	}
	if err := mgr.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return nil, fmt.Errorf("add the readiness check: %w", err)
	}
	reconciler := &controller.Reconciler{
		Client:       mgr.GetClient(),
		Live:         mgr.GetAPIReader(),
		Members:      controller.NewHTTPMembers(),
		Events:       mgr.GetEventRecorder("conclave-operator"),
		DefaultImage: o.nodeImage,
		OwnNamespace: o.ownNamespace,
		OwnLabels:    o.ownLabels,
	}
	if err := reconciler.SetupWithManager(mgr, controller.Options{Concurrency: o.concurrency}); err != nil {
		return nil, fmt.Errorf("set up the controller: %w", err)
	}
	return mgr, nil
}
