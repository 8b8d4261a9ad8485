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
	if strings.TrimSpace(value) == "" {
		return Problems{at.problem("", fmt.Sprintf(`nothing after "="; for empty text write %s='""'`, path))}
	}
	node, problems := parseYAML(at.file, []byte(value))
	if problems != nil {
		problems[0].Line = 0
		return problems
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

// set puts value at keys[depth:] below node, and says why if it can't.
func (d *document) set(node *yaml.Node, keys []string, depth int, value *yaml.Node, text string) string {
	key := keys[depth]
	parent := strings.Join(keys[:depth], ".")
	_, err := strconv.ParseUint(key, 10, 32)
	isIndex := err == nil
	switch {
	case node.Kind == yaml.SequenceNode && isIndex:
		index, _ := strconv.Atoi(key)
		if index >= len(node.Content) {
			return fmt.Sprintf("%s has %d elements, counted from 0", parent, len(node.Content))
		}
		if depth == len(keys)-1 {
			node.Content[index] = value
			return ""
		}
		return d.set(node.Content[index], keys, depth+1, value, text)
	case node.Kind == yaml.SequenceNode && len(node.Content) == 1:
		return d.set(node.Content[0], keys, depth, value, text)
	case node.Kind == yaml.SequenceNode:
		return fmt.Sprintf("%s is a list of %d; say which, from 0: %s.0.%s", parent, len(node.Content), parent, strings.Join(keys[depth:], "."))
	case node.Kind != yaml.MappingNode:
		return fmt.Sprintf("%s is %s and has no keys", parent, found(node))
	case isIndex:
		return fmt.Sprintf("%s is not written as a list; give all of it: %s=[…]", parent, parent)
	}
	place := slices.IndexFunc(everyOther(node.Content), func(name *yaml.Node) bool { return name.Value == key })
	name := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}
	d.overrides[name] = text
	if place < 0 {
		place = len(node.Content) / 2
		node.Content = append(node.Content, name, nil)
	}
	child := &node.Content[2*place+1]
	if depth == len(keys)-1 {
		node.Content[2*place], *child = name, value
		return ""
	}
	if *child == nil || (*child).ShortTag() == "!!null" {
		node.Content[2*place] = name
		*child = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		d.overrides[*child] = text
	}
	return d.set(*child, keys, depth+1, value, text)
}

// everyOther returns the nodes of a mapping that are keys.
func everyOther(content []*yaml.Node) []*yaml.Node {
	keys := make([]*yaml.Node, 0, len(content)/2)
	for i := 0; i < len(content); i += 2 {
		keys = append(keys, content[i])
	}
	return keys
}
