// Package charttest looks at pages in tests.
package charttest

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// void are the elements of Latent's pages that have no end.
var void = []string{"meta", "img", "br"}

// WellFormed wants each element to be closed where it belongs, which html.Parse would mend without a word.
func WellFormed(t *testing.T, page string) {
	t.Helper()
	var open []string
	tokens := html.NewTokenizer(strings.NewReader(page))
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			if !errors.Is(tokens.Err(), io.EOF) || len(open) > 0 {
				t.Errorf("the page ends with %v, and %v open", tokens.Err(), open)
			}
			return
		case html.StartTagToken:
			if name, _ := tokens.TagName(); !slices.Contains(void, string(name)) {
				open = append(open, string(name))
			}
		case html.EndTagToken:
			name, _ := tokens.TagName()
			if len(open) == 0 || open[len(open)-1] != string(name) {
				t.Fatalf("</%s> closes %v", name, open)
			}
			open = open[:len(open)-1]
		}
	}
}

// Text is all the text of a tree, words separated by one space.
func Text(root *html.Node) string {
	var out strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data != "style" {
			out.WriteString(n.Data + " ")
		}
	}
	return strings.Join(strings.Fields(out.String()), " ")
}

// Count is the number of elements of a name in a tree.
func Count(root *html.Node, element string) int {
	n := 0
	for node := range root.Descendants() {
		if node.Type == html.ElementNode && node.Data == element {
			n++
		}
	}
	return n
}
