package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/conclave-dev/conclave/pkg/client"
	"github.com/conclave-dev/conclave/pkg/config"
)

// connected returns a client for a node.
func connected(t *testing.T, url string) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{Endpoints: []string{url}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// called runs one command line and returns all that it leaves behind.
func called(ctx context.Context, url, in string, args ...string) outcome {
	var out, err bytes.Buffer
	p := program{name: "conclave", env: environment(url), in: strings.NewReader(in), out: &out, err: &err, now: func() time.Time { return time.Time{} }}
	status := p.run(ctx, args)
	return outcome{status, out.String(), err.String()}
}

// held are the values and types of a namespace, a line a key.
func held(t *testing.T, c *client.Client, namespace string) (lines []string) {
	t.Helper()
	for e, err := range c.Entries(t.Context(), namespace, client.ListOptions{Values: true}) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%s (%s): %q", e.Key, e.Type, e.Value))
	}
	return lines
}

// strange are values that a form could mistake for something else.
func strange() []string {
	values := []string{
		"", " ", "\n", "\n\n", "a\n", "a\n\n", "\na", " a", "a ", "\ta", "a\r\nb", "a\rb", "\r\n", "true", "null", "~", "1e3", "0x1f", "01", ".inf",
		"2001-01-01", "- a", "a: b", "# a", "a #b", "'", "\"", "\\n", "{", "[", "|", ">", "|\n a", "---", "---\na", "...", "%a", "@a", "`a", "&a", "*a",
		"!a", "!!binary x", "? a", ": a", "a:", "\x00", "\x01\x7f", "\u0085", "\u2028\u2029", "\ufeffa", "\ufffd", "ü€𝄞", "\xff\xfe", "a\xffb",
		"  a\n b\n", "a\n  b\n\n\n", "a\n\tb", "<<: x", "=", "yes", "${A}", strings.Repeat("long ", 300), "a\n \nb", " \n a", "\n a\n  b",
	}
	random := rand.New(rand.NewPCG(1, 2))
	const alphabet = "a \n\t\r:#-'\"\\{}[]|>%&*!?,\x00é"
	letters := []rune(alphabet)
	for range 300 {
		var value strings.Builder
		for range random.IntN(12) {
			value.WriteRune(letters[random.IntN(len(letters))])
		}
		values = append(values, value.String())
	}
	return values
}

func TestWhatIsExportedComesBackByteByByteInEveryForm(t *testing.T) {
	url := node(t)
	c := connected(t, url)
	types := []string{"", "text/plain; charset=utf-8", "application/json", "text/x-other; a=\"b c\""}
	for n, value := range strange() {
		key := fmt.Sprintf("in/%03d%s", n, []string{"", ".txt", ".json", ".x"}[n%4])
		if _, err := c.Put(t.Context(), "pay", key, []byte(value), client.PutOptions{Type: types[n/4%4]}); err != nil {
			t.Fatal(err)
		}
	}
	want := held(t, c, "pay")
	directory := filepath.Join(t.TempDir(), "files")
	for form, flags := range map[string][]string{"lines": nil, "directory": {"--to", directory}, "configmap": {"--name", "all"}} {
		out := called(t.Context(), url, "", append([]string{"export", "pay", "--prefix", "in/", "--format", form}, flags...)...)
		if out.status != exitOK {
			t.Fatalf("%s: %+v", form, out)
		}
		from := "-"
		if form == "directory" {
			from = directory
		}
		in := called(t.Context(), url, out.out, "import", form, from, "--prefix", "in/", "--format", form, "-o", "json")
		if in.status != exitOK {
			t.Fatalf("%s: %+v", form, in)
		}
		got := held(t, c, form)
		for n := range want {
			if n >= len(got) || got[n] != want[n] {
				t.Errorf("%s: got %s, want %s", form, slices.Concat(got, make([]string, len(want)))[n], want[n])
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d keys came back, want %d", form, len(got), len(want))
		}
	}
}

func TestKubernetesReadsTheConfigMapThatIsExported(t *testing.T) {
	url := node(t)
	c := connected(t, url)
	for n, value := range strange() {
		if _, err := c.Put(t.Context(), "pay", fmt.Sprintf("%03d", n), []byte(value), client.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	out := called(t.Context(), url, "", "export", "pay", "--format", "configmap", "--name", "all")
	var made corev1.ConfigMap
	if err := yaml.UnmarshalStrict([]byte(out.out), &made); err != nil || made.Name != "all" || made.Kind != "ConfigMap" {
		t.Fatalf("%+v, %v", made.ObjectMeta, err)
	}
	for n, want := range strange() {
		key := fmt.Sprintf("%03d", n)
		text, isText := made.Data[key]
		if got, isBinary := made.BinaryData[key]; isText == isBinary || text+string(got) != want {
			t.Errorf("%s: Kubernetes reads %q, want %q", key, text+string(got), want)
		}
	}
	// And what kubectl prints of it is imported, as far as it could be applied again.
	for key, value := range made.Data {
		var again string
		if alone, err := yaml.Marshal(value); err != nil || yaml.Unmarshal(alone, &again) != nil || again != value {
			delete(made.Data, key)
			if _, err := c.Delete(t.Context(), "pay", key, client.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(made.Data) < 300 {
		t.Errorf("only %d values are left", len(made.Data))
	}
	printed, err := yaml.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	if in := called(t.Context(), url, string(printed), "import", "back", "-", "--format", "configmap"); in.status != exitOK {
		t.Fatalf("%+v", in)
	}
	if got, want := held(t, c, "back"), held(t, c, "pay"); !slices.Equal(got, want) {
		t.Errorf("imported %q, want %q", got, want)
	}
}

func TestAnImportRefusesTheKeysAndTypesThatNodesRefuse(t *testing.T) {
	keys := []string{
		"", "a", "a/b", "/a", "a/", "a//b", ".", "..", "a/./b", "a/..", "..a", "a\nb", "a\x7f", "a\u0085", "ü", "a\xff", "\ufffd", "a b", "é/%2f?#",
		strings.Repeat("k", 512), strings.Repeat("k", 513), strings.Repeat("é", 256), strings.Repeat("é", 256) + "x",
	}
	types := []string{
		"a", "a/b", "text/plain", "text/plain; charset=utf-8", "text/plain; charset", "text/", "/x", "text plain/x", "a/b;", "a/b; c=\"d e\"",
		"a/b\n", "a/ü", "a/b; x=1; x=2", "a/" + strings.Repeat("b", 253), "a/" + strings.Repeat("b", 254),
	}
	random := rand.New(rand.NewPCG(3, 4))
	letters := []rune("a./ \n;=\"é")
	for range 3000 {
		var text strings.Builder
		for range random.IntN(8) {
			text.WriteRune(letters[random.IntN(len(letters))])
		}
		keys = append(keys, text.String())
		types = append(types, "a/"+text.String())
	}
	for _, key := range keys {
		if ours, nodes := checkKey(key), config.CheckKey(key); (ours == nil) != (nodes == nil) {
			t.Errorf("key %q: %v here, and %v on nodes", key, ours, nodes)
		}
	}
	for _, name := range types {
		if ours, nodes := checkType(name), config.CheckMediaType(name); (ours == nil) != (nodes == nil) {
			t.Errorf("type %q: %v here, and %v on nodes", name, ours, nodes)
		}
	}
}

// between is a proxy before a node. For each PUT it calls put, which says whether the
// client gets the answer.
func between(t *testing.T, node string, put func() (answered bool)) string {
	t.Helper()
	target, err := url.Parse(node)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut {
			proxy.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		proxy.ServeHTTP(answer, r)
		if !put() {
			panic(http.ErrAbortHandler) // the connection is cut
		}
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = io.Copy(w, answer.Body) // the client may be gone
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// threeLines are three entries to import.
const threeLines = `{"key":"a","text":"1"}` + "\n" + `{"key":"b","text":"2"}` + "\n" + `{"key":"c","text":"3"}` + "\n"

func TestAnImportGoesOnBeyondWritesWhoseAnswersAreLost(t *testing.T) {
	real := node(t)
	puts := 0
	lossy := between(t, real, func() bool { puts++; return puts%2 == 0 })
	got := called(t.Context(), lossy, threeLines, "import", "pay", "-", "-o", "json")
	if got.status != exitOK || got.out != `{"created":3,"changed":0,"same":0,"revision":3}`+"\n" {
		t.Errorf("got %+v, want three keys at three revisions", got)
	}
	if keys := held(t, connected(t, real), "pay"); len(keys) != 3 {
		t.Errorf("the store holds %q, want three keys", keys)
	}
	if puts != 6 {
		t.Errorf("%d writes were sent, want each twice", puts)
	}
}

func TestAnImportThatOvertookSomebodyElseSaysSo(t *testing.T) {
	real := node(t)
	c := connected(t, real)
	puts := 0
	lossy := between(t, real, func() bool {
		if puts++; puts > 1 {
			return true
		}
		_, err := c.Put(t.Context(), "pay", "a", []byte("theirs"), client.PutOptions{})
		if err != nil {
			t.Error(err)
		}
		return false
	})
	got := called(t.Context(), lossy, threeLines, "import", "pay", "-")
	if got.status != exitChanged || !strings.Contains(got.err, "stopped at key 1 of 3") {
		t.Errorf("got %+v, want that it stops", got)
	}
	if keys := held(t, c, "pay"); len(keys) != 1 || !strings.Contains(keys[0], "theirs") {
		t.Errorf("the store holds %q, want what somebody else wrote last", keys)
	}
}

func TestAnInterruptedImportGoesOnWhenItIsRunAgain(t *testing.T) {
	real := node(t)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	puts := 0
	counting := between(t, real, func() bool {
		if puts++; puts == 2 {
			interrupt()
		}
		return puts != 2
	})
	got := called(ctx, counting, threeLines, "import", "pay", "-")
	if got.status == exitOK || !strings.Contains(got.err, "stopped at key 2 of 3; run it again to go on") || !strings.Contains(got.out, "1 created") ||
		strings.Contains(got.err, "--idempotency-key") {
		t.Errorf("got %+v, want how far it came", got)
	}
	again := called(t.Context(), counting, threeLines, "import", "pay", "-")
	if again.status != exitOK || !strings.Contains(again.out, "1 created, 0 changed, 2 the same") || puts != 3 {
		t.Errorf("again: %+v after %d writes, want the third key alone", again, puts)
	}
}

func TestAnAtomicImportIsAllOrNothing(t *testing.T) {
	real := node(t)
	c := connected(t, real)
	if _, err := c.Put(t.Context(), "pay", "a", []byte("1"), client.PutOptions{Type: "text/plain; charset=utf-8"}); err != nil {
		t.Fatal(err)
	}
	// Somebody changes a key that is the same already, before the transaction comes.
	target, err := url.Parse(real)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	disturbed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			if _, err := c.Put(t.Context(), "pay", "a", []byte("theirs"), client.PutOptions{}); err != nil {
				t.Error(err)
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	defer disturbed.Close()
	got := called(t.Context(), disturbed.URL, threeLines, "import", "pay", "-", "--atomic")
	if keys := held(t, c, "pay"); got.status != exitChanged || len(keys) != 1 || strings.Contains(got.out, "create b") {
		t.Errorf("got %+v with %q, want that nothing is written", got, keys)
	}
	got = called(t.Context(), real, threeLines, "import", "pay", "-", "--atomic", "-o", "json")
	if got.status != exitOK || got.out != `{"created":2,"changed":1,"same":0,"revision":3}`+"\n" {
		t.Errorf("got %+v, want one revision of three keys", got)
	}

	var many strings.Builder
	for n := range togetherItemsMax + 1 {
		fmt.Fprintf(&many, `{"key":"many/%d","text":"x"}`+"\n", n)
	}
	if got := called(t.Context(), real, many.String(), "import", "pay", "-", "--atomic"); got.status != exitUsage || !strings.Contains(got.err, "without --atomic") {
		t.Errorf("%d keys: %+v, want a refusal", togetherItemsMax+1, got)
	}
	most := many.String()[:strings.LastIndex(strings.TrimSpace(many.String()), "\n")]
	if got := called(t.Context(), real, most, "import", "pay", "-", "--atomic"); got.status != exitOK {
		t.Errorf("%d keys: %+v", togetherItemsMax, got)
	}
	big := fmt.Sprintf(`{"key":"x","text":%q}`+"\n"+`{"key":"y","text":%[1]q}`+"\n"+`{"key":"z","text":%[1]q}`, strings.Repeat("v", valueBytesMax*3/4))
	if got := called(t.Context(), real, big, "import", "pay", "-", "--atomic"); got.status != exitUsage || !strings.Contains(got.err, "without --atomic") {
		t.Errorf("too many bytes: status %d, %s, want a refusal", got.status, got.err)
	}
}
