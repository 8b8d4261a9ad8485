package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Problem is one mistake in a config.
type Problem struct {
	// File is the path of the file, or "override KEY=VALUE" for a value from the command line.
	File string
	// Line and Column are where the key stands, from 1; 0 where there is no such place.
	Line, Column int
	// Key is the dotted path of the key: "model.encoder", or "corrupt.1.noise_factor" in a list.
	Key string
	// Message says what is wrong and what to write instead.
	Message string
}

// String returns "FILE:LINE:COLUMN: KEY: MESSAGE", less what is not known.
func (p Problem) String() string {
	var parts []string
	if p.Line > 0 {
		parts = append(parts, fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column))
	} else if p.File != "" {
		parts = append(parts, password.ReplaceAllString(p.File, "://…@"))
	}
	if p.Key != "" && !strings.HasPrefix(p.File, overridePrefix+p.Key+"=") {
		parts = append(parts, p.Key)
	}
	return strings.Join(append(parts, p.Message), ": ")
}

// password is a user and a password in the URI of an override: they are refused, and not said again.
var password = regexp.MustCompile(`://[^/@\s]*@`)

// Problems are all mistakes of a config: those of the file by position, then those of the overrides.
type Problems []Problem

// Error prints one problem a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// sorted orders the problems: those of the file by position, then those of the overrides in their order.
func (ps Problems) sorted(overrides []string) Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(
			slices.Index(overrides, strings.TrimPrefix(a.File, overridePrefix))-slices.Index(overrides, strings.TrimPrefix(b.File, overridePrefix)),
			a.Line-b.Line, a.Column-b.Column)
	})
	return ps
}
