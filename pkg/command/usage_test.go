package command

import (
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
)

// What a word is said to mean is a command somewhere, and no command itself is in the table.
func TestMeant(t *testing.T) {
	root := newRoot(&console{stdout: io.Discard, stderr: io.Discard})
	groups := []string{"", "backend", "config", "data", "data cache", "runs", "sweep", "track"}
	for _, word := range slices.Sorted(maps.Keys(meant)) {
		for _, path := range meant[word] {
			known := slices.ContainsFunc(groups, func(group string) bool {
				_, rest, err := root.Find(strings.Fields(group + " " + path))
				return err == nil && len(rest) == 0
			})
			if !known {
				t.Errorf("%s: there is no command %s in any group", word, path)
			}
		}
		if suggestion(root, word) == "" {
			t.Errorf("%s: nothing is suggested at the root", word)
		}
	}
}
