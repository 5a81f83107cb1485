package controller

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	v1 "github.com/conclave-dev/conclave/api/v1"
)

// completeSpec is valid and has every field that the schema has rules for.
const completeSpec = `
replicas: 3
reconcilePolicy: Managed
restartedTime: "2026-03-01T12:00:00Z"
recovery: {memberReplacement: {mode: Manual, afterSeconds: 600}}
image: {reference: a/b:c, pullPolicy: Always, pullSecrets: [{name: a}]}
storage: {size: 1Gi, storageClassName: fast, retention: {whenDeleted: Retain, whenScaled: Retain}}
raft: {electionTimeoutMinMilliseconds: 500, electionTimeoutMaxMilliseconds: 1000, heartbeatIntervalMilliseconds: 100, snapshotThresholdEntries: 10000}
client: {hosts: [a.test], service: {type: NodePort, annotations: {a: b}}}
networkPolicy:
  mode: Managed
  clientFrom: [{podSelector: {}, namespaceSelector: {}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]
  monitoringFrom: [{podSelector: {}, namespaceSelector: {}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]
pod:
  labels: {a: b}
  annotations: {a: b}
  resources: {requests: {cpu: 1}, limits: {cpu: 1}}
  affinity: {}
  topologySpreadConstraints: [{maxSkew: 1, topologyKey: a, whenUnsatisfiable: ScheduleAnyway}]
  tolerations: [{operator: Exists}]
  nodeSelector: {a: b}
  priorityClassName: a
  terminationGracePeriodSeconds: 30
`

// handedOn are the fields whose inside is Kubernetes' own, which judges it when a
// pod or a NetworkPolicy is made of it.
var handedOn = []string{"affinity", "topologySpreadConstraints", "tolerations", "podSelector", "namespaceSelector"}

// rulesInCEL has, for each rule of the schema in CEL that looks at one resource by
// itself, changes of completeSpec that it judges, by the rule's message. Further
// keys are changes for other reasons.
var rulesInCEL = map[string]map[string][]any{
	"size must be above zero":                                     {"storage.size": {"0", "-1Gi", "1m"}},
	"annotations under conclave.dev/ belong to the operator":      {"client.service.annotations": {map[string]any{"conclave.dev/x": "y"}}, "pod.annotations": {map[string]any{"conclave.dev/x": "y"}}},
	"labels under conclave.dev/ and app.kubernetes.io/ belong to": {"pod.labels": {map[string]any{"conclave.dev/x": "y"}, map[string]any{"app.kubernetes.io/x": "y"}, map[string]any{"xconclave.dev/x": "y"}}},
	"electionTimeoutMinMilliseconds must be at least five times":  {"raft.electionTimeoutMinMilliseconds": {490, 500}, "raft.heartbeatIntervalMilliseconds": {100, 110}},
	"electionTimeoutMaxMilliseconds must be above":                {"raft.electionTimeoutMaxMilliseconds": {500, 510}},
	"a peer is either an ipBlock or selected by":                  {"networkPolicy.clientFrom.0.ipBlock": {map[string]any{"cidr": "10.0.0.0/8"}}, "networkPolicy.monitoringFrom.0": {map[string]any{}, map[string]any{"podSelector": map[string]any{}}}},
	"must be a block of addresses, such as": {"networkPolicy.clientFrom.1.ipBlock": {
		block("10.0.0.0"), block("::/0"), block("10.0.0.1/8"), block("10.0.0.0/33"), block("010.0.0.0/8"), block("::ffff:10.0.0.0/104"), block("fe80::1%a/64")}},
	"each block in except must be a part of cidr": {"networkPolicy.monitoringFrom.1.ipBlock": {
		block("10.0.0.0/8", "10.1.2.3/32"), block("10.0.0.0/8", "10.0.0.0/8"), block("10.0.0.0/8", "11.0.0.0/16"), block("10.0.0.0/8", "a"), block("10.0.0.0/8", "::/16"),
		block("10.0.0.0/8", "0.0.0.0/0"), block("2001:db8::/32", "2001:db8:1::/48")}},
}

func block(cidr string, except ...any) map[string]any {
	if len(except) == 0 {
		return map[string]any{"cidr": cidr}
	}
	return map[string]any{"cidr": cidr, "except": except}
}

// variant is a resource that differs from a valid one in one place.
type variant struct {
	what, name string
	spec       map[string]any
}

// What the schema takes Validate takes, and what it refuses Validate refuses: it is
// what stands between the operator and a resource that is older than a rule.
func TestValidateAndTheSchemaAgree(t *testing.T) {
	variants := variantsOf(t)
	if len(variants) < 150 {
		t.Fatalf("the schema gives %d resources to try: has its way of telling rules changed?", len(variants))
	}
	e := apiServer(t)
	namespace := e.namespace(t)
	var taken int
	for _, variant := range variants {
		object := &unstructured.Unstructured{Object: map[string]any{"spec": variant.spec}}
		object.SetGroupVersionKind(v1.GroupVersion.WithKind(v1.KindRaftCluster))
		object.SetNamespace(namespace)
		object.SetName(variant.name)
		err := e.admin.Create(t.Context(), object.DeepCopy(), client.DryRunAll)
		if err != nil && !apierrors.IsInvalid(err) {
			t.Fatalf("%s: %v", variant.what, err)
		}
		var typed v1.RaftCluster
		text, _ := json.Marshal(object.Object)
		if json.Unmarshal(text, &typed) != nil {
			continue // no such value can reach Validate
		}
		if problems := typed.Validate(); (len(problems) == 0) != (err == nil) {
			t.Errorf("%s: the schema says %v, Validate says %v", variant.what, err, problems)
		}
		if err == nil {
			taken++
		}
	}
	t.Logf("%d resources tried, %d of them valid", len(variants), taken)
	if taken < 40 || taken > len(variants)-80 {
		t.Errorf("of %d resources the schema takes %d: too one-sided to compare by", len(variants), taken)
	}
}

// variantsOf makes resources at and beyond each limit of the schema.
func variantsOf(t *testing.T) []variant {
	t.Helper()
	text, err := os.ReadFile(crdFile)
	if err != nil {
		t.Fatal(err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(text, &crd); err != nil {
		t.Fatal(err)
	}
	complete := map[string]any{}
	if err := yaml.Unmarshal([]byte(completeSpec), &complete); err != nil {
		t.Fatal(err)
	}
	b := &variantBuilder{t: t, complete: complete, rules: map[string]bool{}}
	b.add("nothing changed", nil, nil)
	b.walk(crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"], nil, complete)
	for rule, changes := range rulesInCEL {
		found := false
		for message := range b.rules {
			found = found || strings.HasPrefix(message, rule)
		}
		if !found {
			t.Errorf("the schema has no rule %q", rule)
		}
		for place, values := range changes {
			for _, value := range values {
				b.add(fmt.Sprintf("%s: %v", place, value), strings.Split(place, "."), value)
			}
		}
	}
	for message := range b.rules {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(rulesInCEL)), func(rule string) bool { return strings.HasPrefix(message, rule) }) {
			t.Errorf("rulesInCEL has nothing for the rule %q", message)
		}
	}
	for _, name := range []string{"a", "1a", "a-", "-a", "a.b", "a1-b", strings.Repeat("a", 45), strings.Repeat("a", 46)} {
		b.variants = append(b.variants, variant{"name " + name, name, complete})
	}
	return b.variants
}

type variantBuilder struct {
	t        *testing.T
	complete map[string]any
	variants []variant
	// rules are the messages of the rules in CEL that look at one resource by
	// itself.
	rules map[string]bool
}

// add makes a resource that has another value in one place.
func (b *variantBuilder) add(what string, place []string, value any) {
	spec := jsonValue(b.complete).(map[string]any)
	if len(place) > 0 {
		spec = replaced(spec, place, jsonValue(value)).(map[string]any)
	}
	b.variants = append(b.variants, variant{what, "cfg", spec})
}

// jsonValue is a value as JSON has it, with whole numbers whole.
func jsonValue(value any) any {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	var decoded any
	if err := json.Unmarshal(text, &decoded); err != nil {
		panic(err)
	}
	return wholeNumbers(decoded)
}

func wholeNumbers(value any) any {
	switch value := value.(type) {
	case float64:
		if whole := int64(value); float64(whole) == value {
			return whole
		}
	case map[string]any:
		for key := range value {
			value[key] = wholeNumbers(value[key])
		}
	case []any:
		for i := range value {
			value[i] = wholeNumbers(value[i])
		}
	}
	return value
}

// replaced is a value with another one in one place.
func replaced(in any, place []string, value any) any {
	if len(place) == 0 {
		return value
	}
	switch in := in.(type) {
	case map[string]any:
		in[place[0]] = replaced(in[place[0]], place[1:], value)
		return in
	case []any:
		var index int
		if _, err := fmt.Sscan(place[0], &index); err != nil || index >= len(in) {
			panic(fmt.Sprintf("no place %v in %v", place, in))
		}
		in[index] = replaced(in[index], place[1:], value)
		return in
	default:
		panic(fmt.Sprintf("no place %v in %v", place, in))
	}
}

// walk goes through a schema beside the value that completeSpec has there.
func (b *variantBuilder) walk(schema apiextensionsv1.JSONSchemaProps, place []string, value any) {
	b.t.Helper()
	for _, rule := range schema.XValidations {
		if !strings.Contains(rule.Rule, "oldSelf") {
			b.rules[rule.Message] = true
		}
	}
	for _, other := range b.limits(schema, value) {
		what := fmt.Sprintf("%s: %.80s", strings.Join(place, "."), fmt.Sprint(other))
		b.add(what, place, other)
	}
	if len(place) > 0 && slices.Contains(handedOn, place[len(place)-1]) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		fields, _ := value.(map[string]any)
		if _, ok := fields[name]; !ok {
			b.t.Fatalf("completeSpec lacks %s.%s: give it a valid value there, and Validate its rules", strings.Join(place, "."), name)
		}
		b.walk(schema.Properties[name], append(slices.Clip(place), name), fields[name])
	}
	if schema.Items != nil {
		b.walkItems(*schema.Items.Schema, place, value.([]any))
	}
}

// walkItems goes through the schema of a list's items, with the first item that has
// a field standing for it.
func (b *variantBuilder) walkItems(schema apiextensionsv1.JSONSchemaProps, place []string, items []any) {
	b.t.Helper()
	if len(schema.Properties) == 0 {
		b.walk(schema, append(slices.Clip(place), "0"), items[0])
		return
	}
	for _, rule := range schema.XValidations {
		b.rules[rule.Message] = true
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		index := slices.IndexFunc(items, func(item any) bool { return item.(map[string]any)[name] != nil })
		if index < 0 {
			b.t.Fatalf("completeSpec lacks %s[].%s: give it a valid value there, and Validate its rules", strings.Join(place, "."), name)
		}
		b.walk(schema.Properties[name], append(slices.Clip(place), fmt.Sprint(index), name), items[index].(map[string]any)[name])
	}
}

// limits are values at and beyond what a schema allows in one place.
func (b *variantBuilder) limits(schema apiextensionsv1.JSONSchemaProps, value any) []any {
	var values []any
	if len(schema.Enum) > 0 {
		for _, allowed := range schema.Enum {
			var one any
			if err := json.Unmarshal(allowed.Raw, &one); err != nil {
				b.t.Fatal(err)
			}
			values = append(values, one)
		}
		if schema.Type == "string" {
			return append(values, "Other", "")
		}
		return append(values, 0, 2, 9, -1)
	}
	if schema.Minimum != nil {
		values = append(values, *schema.Minimum, *schema.Minimum-1, 0)
	}
	if schema.Maximum != nil {
		values = append(values, *schema.Maximum, *schema.Maximum+1)
	}
	if schema.MultipleOf != nil {
		values = append(values, *schema.Minimum+1, *schema.Minimum+*schema.MultipleOf)
	}
	if schema.MaxLength != nil {
		values = append(values, strings.Repeat("a", int(*schema.MaxLength)), strings.Repeat("a", int(*schema.MaxLength)+1), strings.Repeat("ä", int(*schema.MaxLength)), "")
	}
	if schema.Pattern != "" && !schema.XIntOrString {
		for _, text := range []string{" ", "a b", "-a", "a-", "A", "a.b", "a.*", "*", "*.a", "a\tb", "a\u00a0b", "a..b", "a_b"} {
			values = append(values, text)
		}
	}
	return append(values, b.crowds(schema, value)...)
}

// crowds are lists and maps of as many entries as a schema allows, and of one more,
// and lists with an entry twice.
func (b *variantBuilder) crowds(schema apiextensionsv1.JSONSchemaProps, value any) []any {
	var crowds []any
	if schema.MaxItems != nil {
		for _, count := range []int64{*schema.MaxItems, *schema.MaxItems + 1} {
			crowd := make([]any, count)
			for i := range crowd {
				crowd[i] = distinct(value.([]any)[0], i, schema.XListType)
			}
			crowds = append(crowds, crowd)
		}
		crowds = append(crowds, []any{value.([]any)[0], value.([]any)[0]}, []any{})
	}
	if schema.MaxProperties != nil {
		for _, count := range []int64{*schema.MaxProperties, *schema.MaxProperties + 1} {
			crowd := map[string]any{}
			for _, entry := range value.(map[string]any) {
				for i := range count {
					crowd[fmt.Sprint("k", i)] = entry
				}
			}
			crowds = append(crowds, crowd)
		}
	}
	return crowds
}

// distinct is an item that differs from others of its kind where it has to.
func distinct(item any, i int, listType *string) any {
	switch text, isText := item.(string); {
	case *listType == "set" && isText:
		return fmt.Sprint("h", i, ".", text)
	case *listType == "map":
		fields := maps.Clone(item.(map[string]any))
		fields["name"] = fmt.Sprint("n", i)
		return fields
	}
	return item
}
