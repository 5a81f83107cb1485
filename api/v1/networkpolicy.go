package v1

import (
	"net/netip"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// NetworkPolicySpec tells from where the members' ports may be reached. It takes
// effect where the network of the Kubernetes cluster enforces NetworkPolicies.
type NetworkPolicySpec struct {
	// mode tells whether the operator keeps a NetworkPolicy for the members. While
	// it is Disabled there is none, and the lists below mean nothing.
	// +optional
	// +kubebuilder:default=Managed
	Mode NetworkPolicyMode `json:"mode,omitempty"`

	// clientFrom are the peers that may reach the store, beside the pods of the
	// same namespace. Whoever comes through a load balancer or a port of a node
	// comes from outside.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	ClientFrom []NetworkPeer `json:"clientFrom,omitempty"`

	// monitoringFrom are the peers that may reach the operations port, with
	// metrics and health, beside the operator.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	MonitoringFrom []NetworkPeer `json:"monitoringFrom,omitempty"`
}

// NetworkPolicyMode tells whether the operator keeps a NetworkPolicy.
// +kubebuilder:validation:Enum=Managed;Disabled
type NetworkPolicyMode string

const (
	// NetworkPolicyManaged keeps a NetworkPolicy that lets in only who is named.
	NetworkPolicyManaged NetworkPolicyMode = "Managed"
	// NetworkPolicyDisabled keeps none.
	NetworkPolicyDisabled NetworkPolicyMode = "Disabled"
)

// NetworkPeer is whom a NetworkPolicy lets in, with the fields of a
// NetworkPolicyPeer: pods by labels, in the namespaces selected or, without a
// namespaceSelector, in the RaftCluster's own; or a block of addresses.
//
// +kubebuilder:validation:XValidation:rule="has(self.ipBlock) != (has(self.podSelector) || has(self.namespaceSelector))",message="a peer is either an ipBlock or selected by podSelector, namespaceSelector or both"
type NetworkPeer struct {
	// podSelector selects pods by their labels; an empty one selects all.
	// +optional
	PodSelector *metav1.LabelSelector `json:"podSelector,omitempty"`

	// namespaceSelector selects namespaces by their labels; an empty one selects
	// all.
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`

	// ipBlock is a block of addresses.
	// +optional
	IPBlock *IPBlock `json:"ipBlock,omitempty"`
}

// IPBlock is a block of addresses without some of it.
//
// +kubebuilder:validation:XValidation:rule="!isCIDR(self.cidr) || !has(self.except) || self.except.all(e, isCIDR(e) && cidr(self.cidr).containsCIDR(e) && cidr(self.cidr).prefixLength() < cidr(e).prefixLength())",message="each block in except must be a part of cidr"
type IPBlock struct {
	// cidr is the block, such as 10.0.0.0/8 or 2001:db8::/64.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="isCIDR(self)",message="must be a block of addresses, such as 10.0.0.0/8"
	CIDR string `json:"cidr"`

	// except are the parts of the block that are left out.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=64
	Except []string `json:"except,omitempty"`
}

func (n *NetworkPolicySpec) validate(path *field.Path) field.ErrorList {
	return slices.Concat(
		oneOf(path.Child("mode"), n.Mode, NetworkPolicyManaged, NetworkPolicyDisabled),
		validatePeers(path.Child("clientFrom"), n.ClientFrom),
		validatePeers(path.Child("monitoringFrom"), n.MonitoringFrom),
	)
}

func validatePeers(path *field.Path, peers []NetworkPeer) field.ErrorList {
	errs := noMore(path, len(peers), 32)
	for i := range peers {
		errs = append(errs, peers[i].validate(path.Index(i))...)
	}
	return errs
}

// validate looks into the selectors too, which the schema leaves to the API
// server's own look at the NetworkPolicy.
func (p *NetworkPeer) validate(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if (p.IPBlock != nil) == (p.PodSelector != nil || p.NamespaceSelector != nil) {
		errs = append(errs, field.Invalid(path, "", "must be either an ipBlock or selected by podSelector, namespaceSelector or both"))
	}
	options := metav1validation.LabelSelectorValidationOptions{}
	errs = append(errs, metav1validation.ValidateLabelSelector(p.PodSelector, options, path.Child("podSelector"))...)
	errs = append(errs, metav1validation.ValidateLabelSelector(p.NamespaceSelector, options, path.Child("namespaceSelector"))...)
	if p.IPBlock == nil {
		return errs
	}
	return append(errs, p.IPBlock.validate(path.Child("ipBlock"))...)
}

func (b *IPBlock) validate(path *field.Path) field.ErrorList {
	errs := slices.Concat(noLonger(path.Child("cidr"), b.CIDR, 64), noMore(path.Child("except"), len(b.Except), 16))
	block, ok := parseBlock(b.CIDR)
	if !ok {
		return append(errs, field.Invalid(path.Child("cidr"), b.CIDR, "must be a block of addresses, such as 10.0.0.0/8"))
	}
	for i, except := range b.Except {
		if part, ok := parseBlock(except); !ok || part.Bits() <= block.Bits() || !block.Contains(part.Addr()) {
			errs = append(errs, field.Invalid(path.Child("except").Index(i), except, "must be a part of "+b.CIDR))
		}
	}
	return errs
}

// parseBlock reads a block as the API server does, which takes no IPv4 address
// that is written as an IPv6 one.
func parseBlock(text string) (netip.Prefix, bool) {
	block, err := netip.ParsePrefix(text)
	return block, err == nil && !block.Addr().Is4In6()
}
