package client_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/client"
)

// namedCodes are the codes that this package has constants for, by their names.
func namedCodes(t *testing.T) map[client.Code]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "code.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := map[client.Code]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range spec.Names {
			literal, ok := spec.Values[i].(*ast.BasicLit)
			if !ok {
				t.Fatalf("%s is no literal", name.Name)
			}
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			if other := codes[client.Code(value)]; other != "" {
				t.Errorf("%s and %s are the same code", other, name.Name)
			}
			codes[client.Code(value)] = name.Name
		}
		return false
	})
	return codes
}

// describedCodes are the codes that the document of the API gives to its answers. A
// test of the server holds its answers to that document.
func describedCodes(t *testing.T) map[client.Code]bool {
	t.Helper()
	response, err := http.Get(realURL(t) + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	document, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	codes := map[client.Code]bool{}
	for _, list := range regexp.MustCompile(`"code": ?\{"enum": ?\[([^\]]*)\]`).FindAllSubmatch(document, -1) {
		for code := range strings.SplitSeq(string(list[1]), ",") {
			codes[client.Code(strings.Trim(code, ` "`))] = true
		}
	}
	return codes
}

func TestEveryCodeOfTheServerIsNamedAndNoOther(t *testing.T) {
	named, described := namedCodes(t), describedCodes(t)
	invalid := 0
	for code := range described {
		switch {
		case strings.HasPrefix(string(code), string(client.CodeInvalid)+"_"):
			invalid++
		case named[code] == "":
			t.Errorf("nodes give the code %s, and no constant names it", code)
		}
	}
	for code, name := range named {
		if code != client.CodeInvalid && !described[code] {
			t.Errorf("%s: no node gives the code %s", name, code)
		}
	}
	if invalid == 0 {
		t.Error("no node gives a code that CodeInvalid stands for")
	}
}
