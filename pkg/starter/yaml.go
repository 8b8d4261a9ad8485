package starter

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// key is a key of a section with its value, in YAML, and a comment behind it; or a list, an item a line.
type key struct {
	name, value, comment string
	items                []key // without names
}

// section is the keys of a section, in order.
type section []key

// writer writes a config.
type writer struct{ bytes.Buffer }

func (w *writer) bytes() []byte { return bytes.Clone(w.Bytes()) }

func (w *writer) line(text string) { w.WriteString(text + "\n") }

const width = 110 // of comments

// comment writes text in lines that fit an editor.
func (w *writer) comment(indent, text string) {
	line := indent + "#"
	for _, word := range strings.Fields(text) {
		if utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width && line != indent+"#" {
			w.line(line)
			line = indent + "#"
		}
		line += " " + word
	}
	w.line(line)
}

// section writes a section with a comment above its keys.
func (w *writer) section(name, comment string, keys section) {
	if w.Len() > 0 && !bytes.HasSuffix(w.Bytes(), []byte("\n\n")) {
		w.line("")
	}
	w.line(name + ":")
	if comment != "" {
		w.comment("  ", comment)
	}
	for _, k := range keys {
		w.key("  ", k)
	}
}

// key writes a key; its comment stands behind it where there is room, else above.
func (w *writer) key(indent string, k key) {
	text := strings.TrimRight(indent+k.name+": "+k.value, " ")
	if k.name == "" {
		text = indent + "- " + k.value
	}
	switch {
	case k.comment == "":
		w.line(text)
	case utf8.RuneCountInString(text)+3+utf8.RuneCountInString(k.comment) <= width:
		w.line(text + "  # " + k.comment)
	default:
		w.comment(indent, k.comment)
		w.line(text)
	}
	for _, item := range k.items {
		w.key(indent+"  ", item)
	}
}

// quoted is a text as a YAML value that is the same text again, in one line.
func quoted(text string) string {
	node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	if strings.ContainsFunc(text, unprintable) {
		node.Style = yaml.DoubleQuotedStyle
	}
	encoded, err := yaml.Marshal(node)
	if err != nil {
		panic(fmt.Errorf("write %q: %w", text, err)) // texts were found to be UTF-8
	}
	return strings.TrimSuffix(string(encoded), "\n")
}

// unprintable says that a character cannot stand in a line as it is.
func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// list is texts as a key's value: the text where it is one, else items.
func list(name string, texts []string) key {
	if len(texts) == 1 {
		return key{name: name, value: quoted(texts[0])}
	}
	k := key{name: name}
	for _, text := range texts {
		k.items = append(k.items, key{value: quoted(text)})
	}
	return k
}

// plain is a name in a comment: in one line, and not long.
func plain(name string) string {
	const most = 60
	if runes := []rune(name); len(runes) > most {
		name = string(runes[:most-1]) + "…"
	}
	if name == "" || strings.ContainsFunc(name, unprintable) || !utf8.ValidString(name) {
		return strconv.Quote(name)
	}
	return name
}

// few names the first of a list.
func few(names []string) string {
	const most = 5
	var shown []string
	for _, name := range names[:min(most, len(names))] {
		shown = append(shown, plain(name))
	}
	text := strings.Join(shown, ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// grouped writes a number with commas: 12,345.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// counted is a number and a noun: "1 row", "2 rows".
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return grouped(n) + " " + noun
}
