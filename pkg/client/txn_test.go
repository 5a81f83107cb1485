package client_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/client"
)

func TestATransactionIsWrittenAsItIsRead(t *testing.T) {
	yes := true
	want := client.Txn{
		Namespace: "pay",
		If:        []client.Condition{{Key: "a", Revision: 42}, {Key: "b", Exists: &yes}, {Key: "c", Version: 3}},
		Then:      []client.Operation{{Op: client.OpPut, Key: "b", Value: []byte("x"), Type: "text/plain"}, {Op: client.OpPut, Key: "c", Value: []byte("\xff")}, {Op: client.OpDelete, Key: "d"}},
		Else:      []client.Operation{{Op: client.OpGet, Key: "a"}},
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	const form = `{"namespace":"pay","if":[{"key":"a","revision":42},{"key":"b","exists":true},{"key":"c","version":3}],` +
		`"then":[{"op":"put","key":"b","type":"text/plain","text":"x"},{"op":"put","key":"c","base64":"/w=="},{"op":"delete","key":"d"}],` +
		`"else":[{"op":"get","key":"a"}]}`
	if string(text) != form {
		t.Errorf("it is written as\n%s, want\n%s", text, form)
	}
	var got client.Txn
	if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("it is read as %+v, %v, want %+v", got, err, want)
	}
	empty, err := json.Marshal(client.Operation{Op: client.OpPut, Key: "k"})
	if want := `{"op":"put","key":"k","text":""}`; err != nil || string(empty) != want {
		t.Errorf("a put without bytes is written as %s, %v, want %s", empty, err, want)
	}
}

func TestAnOperationThatWouldMeanSomethingElseIsRefused(t *testing.T) {
	for text, says := range map[string]string{
		`{"op":"put","key":"k"}`:                         "neither text nor base64",
		`{"op":"put","key":"k","value":"x"}`:             "unknown field",
		`{"op":"put","key":"k","text":"","base64":"/w"}`: "illegal base64",
		`{"op":"put","key":"k","text":"","base64":""}`:   "both text and base64",
	} {
		var operation client.Operation
		if err := json.Unmarshal([]byte(text), &operation); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s is read as %+v, %v; want an error that says %q", text, operation, err, says)
		}
	}
}
