package v1

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Patterns of the schema.
var (
	noWhiteSpace = regexp.MustCompile(`^\S*$`)
	hostName     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*(\.\*)?$`)
)

// This file holds the kinds of rules that a schema has, as functions of the same
// meaning.

// oneOf wants one of some values.
func oneOf[T interface{ ~string | ~int32 }](path *field.Path, value T, allowed ...T) field.ErrorList {
	if slices.Contains(allowed, value) {
		return nil
	}
	names := make([]string, len(allowed))
	for i := range allowed {
		names[i] = fmt.Sprint(allowed[i])
	}
	return field.ErrorList{field.NotSupported(path, value, names)}
}

// within wants a number from least to most, in steps.
func within[T interface{ ~int32 | ~int64 }](path *field.Path, value, least, most, step T) field.ErrorList {
	switch {
	case value < least || value > most:
		return field.ErrorList{field.Invalid(path, value, fmt.Sprintf("must be from %d to %d", least, most))}
	case value%step != 0:
		return field.ErrorList{field.Invalid(path, value, fmt.Sprintf("must be a multiple of %d", step))}
	}
	return nil
}

// noLonger wants a text of so many characters at most.
func noLonger(path *field.Path, text string, most int) field.ErrorList {
	if utf8.RuneCountInString(text) > most {
		return field.ErrorList{field.TooLong(path, text, most)}
	}
	return nil
}

// noMore wants so many items or entries at most.
func noMore(path *field.Path, count, most int) field.ErrorList {
	if count > most {
		return field.ErrorList{field.TooMany(path, count, most)}
	}
	return nil
}

// matches wants a text that fits a pattern, and says in words what that means.
func matches(path *field.Path, text string, pattern *regexp.Regexp, words string) field.ErrorList {
	if !pattern.MatchString(text) {
		return field.ErrorList{field.Invalid(path, text, words)}
	}
	return nil
}

// ownPrefixes refuses keys that the operator keeps for itself.
func ownPrefixes(path *field.Path, entries map[string]string, prefixes ...string) field.ErrorList {
	var errs field.ErrorList
	for key := range entries {
		for _, prefix := range prefixes {
			if strings.HasPrefix(key, prefix) {
				errs = append(errs, field.Forbidden(path.Key(key), "keys under "+prefix+" belong to the operator"))
			}
		}
	}
	slices.SortFunc(errs, func(a, b *field.Error) int { return strings.Compare(a.Field, b.Field) })
	return errs
}
