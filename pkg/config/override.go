package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// overridePrefix begins Problem.File where a value came from the command line.
const overridePrefix = "override "

// document is a YAML tree whose nodes know where they come from.
type document struct {
	file string
	root *yaml.Node
	// overrides holds the text of the override that brought a node; the file's own nodes are not in it.
	overrides map[*yaml.Node]string
}

// place is where a key stands; overrides have no line.
type place struct {
	file         string
	line, column int
}

// String returns the place within its file.
func (p place) String() string {
	if p.isOverride() {
		return p.file
	}
	return fmt.Sprintf("line %d", p.line)
}

func (p place) isOverride() bool { return strings.HasPrefix(p.file, overridePrefix) }

func (p place) problem(key, message string) Problem {
	return Problem{File: p.file, Line: p.line, Column: p.column, Key: key, Message: message}
}

func (d *document) placeOf(node *yaml.Node) place {
	if text, ok := d.overrides[node]; ok {
		return place{file: overridePrefix + text}
	}
	return place{file: d.file, line: node.Line, column: node.Column}
}

// override sets a key: "train.epochs=3", the value in YAML. The key need not be in the file, nor known.
func (d *document) override(text string) Problems {
	at := place{file: overridePrefix + text}
	path, value, ok := strings.Cut(text, "=")
	keys := strings.Split(path, ".")
	if !ok || slices.Contains(keys, "") {
		return Problems{at.problem("", "want KEY=VALUE, such as train.epochs=3")}
	}
	node, problems := parseYAML(at.file, []byte(value))
	if problems != nil {
		problems[0].Line = 0
		return problems
	}
	if node == nil && strings.HasPrefix(strings.TrimSpace(value), "#") || strings.TrimSpace(value) == "" {
		return Problems{at.problem("", fmt.Sprintf(`nothing after "="; for empty text write %s='""'`, path))}
	}
	if node == nil {
		node = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: strings.TrimSpace(value)} // of which the decoder says what it is here
	}
	d.mark(node, text)
	if message := d.set(d.root, keys, 0, node, text); message != "" {
		return Problems{at.problem("", message)}
	}
	return nil
}

func (d *document) mark(node *yaml.Node, text string) {
	d.overrides[node] = text
	for _, child := range node.Content {
		d.mark(child, text)
	}
}

// set puts value at keys[depth:] below node. If it can't, it changes nothing and says why.
func (d *document) set(node *yaml.Node, keys []string, depth int, value *yaml.Node, text string) string {
	parent, key, isLast := strings.Join(keys[:depth], "."), keys[depth], depth == len(keys)-1
	switch {
	case node.Kind == yaml.SequenceNode && isIndex(key):
		i, _ := strconv.Atoi(key)
		if i >= len(node.Content) {
			return fmt.Sprintf("%s has no element %d; it has %d, counted from 0", parent, i, len(node.Content))
		}
		if !isLast {
			return d.set(node.Content[i], keys, depth+1, value, text)
		}
		node.Content[i] = value
		return ""
	case node.Kind == yaml.SequenceNode && len(node.Content) == 1:
		return d.set(node.Content[0], keys, depth, value, text)
	case node.Kind == yaml.SequenceNode && len(node.Content) == 0:
		_, given, _ := strings.Cut(text, "=")
		return fmt.Sprintf("%s is an empty list, in which nothing can be set; write all of it: %s={kind: …, %s: %s}", parent, parent, strings.Join(keys[depth:], "."), shorten(given))
	case node.Kind == yaml.SequenceNode:
		return fmt.Sprintf("%s is a list of %d; say which, from 0: %s.0.%s", parent, len(node.Content), parent, strings.Join(keys[depth:], "."))
	case node.Kind != yaml.MappingNode:
		return fmt.Sprintf("%s is %s and has no keys", parent, found(node))
	}
	i := indexOf(node, key)
	if !isLast {
		if i >= 0 && node.Content[i+1].ShortTag() != "!!null" {
			return d.set(node.Content[i+1], keys, depth+1, value, text)
		}
		if list := join(parent, key); isIndex(keys[depth+1]) {
			return fmt.Sprintf("%s is not written as a list; give all of it: %s=[…]", list, list)
		}
		section := &yaml.Node{Kind: yaml.MappingNode}
		if message := d.set(section, keys, depth+1, value, text); message != "" {
			return message
		}
		value = section
	}
	name := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}
	d.overrides[name] = text
	if i < 0 {
		node.Content = append(node.Content, name, value)
	} else {
		node.Content[i], node.Content[i+1] = name, value
	}
	return ""
}

// indexOf returns where a mapping's content has the key, followed by its value; -1 if it has not.
func indexOf(mapping *yaml.Node, key string) int {
	for i := 0; i < len(mapping.Content); i += 2 {
		if name := mapping.Content[i]; name.Kind == yaml.ScalarNode && name.Value == key {
			return i
		}
	}
	return -1
}

func isIndex(key string) bool {
	_, err := strconv.ParseUint(key, 10, 16)
	return err == nil
}
