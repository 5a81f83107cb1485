package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// size is a number of bytes, and the value of a flag.
type size int64

// units are the suffixes of sizes, the largest first.
var units = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// Set, String and Type make it a flag's value.
func (s *size) Set(text string) error {
	unit := int64(1)
	for _, u := range units {
		if digits, ok := strings.CutSuffix(text, u.name); ok {
			text, unit = digits, u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > math.MaxInt64/unit {
		return errors.New("want a number of bytes, or such as 512KiB, 16MiB, 1GiB")
	}
	*s = size(n * unit)
	return nil
}

// String is in the largest unit that leaves no rest.
func (s size) String() string {
	for _, u := range units {
		if s != 0 && int64(s)%u.bytes == 0 {
			return fmt.Sprintf("%d%s", int64(s)/u.bytes, u.name)
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// Type is the name of the kind of value in help.
func (s *size) Type() string { return "SIZE" }
