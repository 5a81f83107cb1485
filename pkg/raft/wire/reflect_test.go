package wire_test

import (
	"fmt"
	"reflect"
	"testing"
)

// fill sets every exported field below v, which must be settable, to a value
// that differs from its zero value and from its neighbours'. A field of a kind
// that it can't fill fails the test, so that no field is left out in silence.
func fill(t *testing.T, v reflect.Value, next *uint64) {
	t.Helper()
	*next++
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(*next % 251)
	case reflect.String:
		v.SetString(fmt.Sprintf("text-%d", *next))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), next)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range v.Len() {
			fill(t, v.Index(i), next)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i), next)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), next)
		}
	default:
		t.Fatalf("a field of kind %s: teach fill about it", v.Kind())
	}
}

// filled returns a T with every field set.
func filled[T any](t *testing.T) T {
	t.Helper()
	var v T
	var next uint64
	fill(t, reflect.ValueOf(&v).Elem(), &next)
	return v
}

// checkEqual fails unless got is want, field by field.
func checkEqual(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("came back different\n got %+v\nwant %+v", got, want)
	}
}
