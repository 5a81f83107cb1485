package httpapi_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// curl runs a line of sh with $U set to the API, in a folder of its own.
func curl(t *testing.T, base, line string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "new.json"), []byte(`{"a":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "sh", "-c", line)
	command.Dir = dir
	command.Env = append(os.Environ(), "U="+base)
	var complaints strings.Builder
	command.Stderr = &complaints
	out, err := command.Output()
	if err != nil {
		return "failed: " + complaints.String()
	}
	return string(out)
}

func TestCurlOneLinersWork(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed here")
	}
	a := newAPI(t, nil)
	a.put("db/url", "postgres://x")
	a.put("app.json", "{}")
	a.put("api/key", "it's \"$(id)\" `id` \\n\n")
	a.put("api/quote", "'")
	base := a.serve()
	for _, c := range []struct{ line, want string }{
		{`curl -fsS $U/v1/kv/pay/db/url`, "postgres://x"},
		{`curl -fsS -T new.json -H 'If-Match: "2"' -H 'Content-Type: application/json' $U/v1/kv/pay/app.json`, ""},
		{`curl -fsS -o /dev/null -w '%{content_type}' $U/v1/kv/pay/app.json`, "application/json"},
		{`curl -fsS -T new.json -H 'If-Match: "2"' $U/v1/kv/pay/app.json`, "failed: curl: (22) The requested URL returned error: 412\n"},
		{`head -c 2097152 /dev/zero | curl -fsS -T - $U/v1/kv/pay/big && curl -fsS $U/v1/kv/pay/big | wc -c`, "2097152\n"},
		{`head -c 2097153 /dev/zero | curl -fsS -o /dev/null -T - $U/v1/kv/pay/big`, "failed: curl: (22) The requested URL returned error: 413\n"},
		{`curl -sS --path-as-is -o /dev/null -w '%{http_code} %{num_redirects}' $U/v1/kv/pay/a/../b`, "400 0"},
		{`curl -sS -g -o /dev/null -w '%{http_code} %{redirect_url}' $U//v1//kv`, "404 "},
		{`curl -sS -o /dev/null -w '%{http_code}' -H 'Host: evil.example' $U/v1/kv/pay/db/url`, "421"},
		{`curl -fsS -T new.json -o /dev/null -w '%{http_code}' "$U/v1/kv/pay/none?dry-run=1" && curl -sS -o /dev/null -w '%{http_code}' $U/v1/kv/pay/none`, "201404"},
		{`curl -fsS "$U/v1/kv/pay/db/url?consistency=bounded&max-staleness=2s"`, "postgres://x"},
		{`curl -fsS -H 'Content-Type: application/json' -d '{"items":[{"namespace":"pay","key":"none"}]}' "$U/v1/batch?consistency=local" | cut -d, -f2`, "\"results\":[{\"entry\":null}]}\n"},
		{`curl -fsS -d '{"items":[{"namespace":"pay","key":"none"}]}' $U/v1/batch`, "failed: curl: (22) The requested URL returned error: 415\n"},
		{`curl -fsS -H 'Accept: application/x-ndjson' "$U/v1/keys/pay?prefix=db/" | cut -d, -f2`, "\"key\":\"db/url\"\n\"revision\":6\n"},
		{`curl -fsS $U/openapi.json | head -n 2 | tail -n 1`, "  \"openapi\": \"3.1.0\",\n"},
		{`curl -fsS -o /dev/null -w '%{http_code}' -H "If-None-Match: $(curl -fsSI $U/openapi.json | tr -d '\r' | sed -n 's/^Etag: //p')" $U/openapi.json`, "304"},
		{`API_KEY=old; eval "$(curl -fsS "$U/v1/render/pay?prefix=api/&format=env")"; printf '%s|%s|%s|' "$API_KEY" "$KEY" "$QUOTE"`, "old|it's \"$(id)\" `id` \\n\n|'|"},
		{`curl -fsS "$U/v1/render/pay?prefix=api&format=yaml"`, "key: \"it's \\\"$(id)\\\" `id` \\\\n\\n\"\nquote: \"'\"\n"},
		{`curl -sS -o /dev/null -w '%{http_code}' "$U/v1/render/pay?prefix=api/key&format=env"`, "409"},
		{`curl -fsS -X PATCH -H 'Content-Type: application/merge-patch+json' -H 'If-Match: *' -d '{"b":{"c":2},"a":null}' $U/v1/kv/pay/app.json && curl -fsS $U/v1/kv/pay/app.json`, `{"b":{"c":2}}`},
		{`for i in 1 2; do curl -fsS -T new.json -H 'Idempotency-Key: 1f0c' -H 'If-None-Match: *' -o /dev/null -w '%{http_code} %header{conclave-revision} ' $U/v1/kv/pay/once; done`, "201 8 201 8 "},
		{`curl -fsS -X DELETE $U/v1/kv/pay/big && curl -sS -I -o /dev/null -w '%{http_code}' $U/v1/kv/pay/big`, "404"},
		{`curl -fsS -H 'If-None-Match: "1"' "$U/v1/kv/pay/db/url?wait=10ms" -w '%{http_code}'`, "304"},
	} {
		if got := curl(t, base, c.line); got != c.want {
			t.Errorf("%s\n\tprints %q, want %q", c.line, got, c.want)
		}
	}
}

func TestCurlWaitsForAChange(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed here")
	}
	a := newAPI(t, nil)
	a.put("db/url", "old")
	base := a.serve()
	printed := make(chan string, 1)
	go func() { printed <- curl(t, base, `curl -fsS -H 'If-None-Match: "1"' "$U/v1/kv/pay/db/url?wait=60s"`) }()
	a.put("db/url", "new")
	if got := <-printed; got != "new" {
		t.Errorf("curl prints %q, want the new value", got)
	}
}
