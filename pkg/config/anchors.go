package config

import (
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"
)

// mostNodes bounds what aliases make of a file: a few lines can stand for billions.
const mostNodes = 100_000

// expander puts what aliases and merge keys stand for in their places, each a copy of its own: an override changes one place.
type expander struct {
	nodes int          // that are copies
	open  []*yaml.Node // anchors that are being expanded
}

// expandError is a problem at a node.
type expandError struct {
	node    *yaml.Node
	problem string
}

func (e *expandError) Error() string { return e.problem }

// expand returns a copy of a node without aliases and merge keys.
func (x *expander) expand(node *yaml.Node) (*yaml.Node, error) {
	if len(x.open) > 0 {
		x.nodes++
	}
	if x.nodes > mostNodes {
		return nil, &expandError{node, fmt.Sprintf("aliases make more than %d values of this file; write fewer", mostNodes)}
	}
	if node.Kind == yaml.AliasNode {
		if slices.Contains(x.open, node.Alias) {
			return nil, &expandError{node, fmt.Sprintf("*%s stands for what it is in; write the value out", node.Value)}
		}
		x.open = append(x.open, node.Alias)
		defer func() { x.open = x.open[:len(x.open)-1] }()
		return x.expand(node.Alias)
	}
	whole := *node
	whole.Anchor, whole.Content = "", nil
	if node.Kind != yaml.MappingNode {
		for _, child := range node.Content {
			part, err := x.expand(child)
			if err != nil {
				return nil, err
			}
			whole.Content = append(whole.Content, part)
		}
		return &whole, nil
	}
	var merged []*yaml.Node
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, err := x.expand(node.Content[i])
		if err != nil {
			return nil, err
		}
		value, err := x.expand(node.Content[i+1])
		if err != nil {
			return nil, err
		}
		if key.ShortTag() != "!!merge" {
			whole.Content = append(whole.Content, key, value)
			continue
		}
		sources := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			sources = value.Content
		}
		for _, source := range sources {
			if source.Kind != yaml.MappingNode {
				return nil, &expandError{key, fmt.Sprintf("<<: found %s, want the alias of a mapping, such as *base, or a list of them", found(source))}
			}
			merged = append(merged, source.Content...)
		}
	}
	// What is written stands before what is merged, and of that the first.
	for i := 0; i+1 < len(merged); i += 2 {
		if key := merged[i]; key.Kind != yaml.ScalarNode || indexOf(&whole, key.Value) < 0 {
			whole.Content = append(whole.Content, key, merged[i+1])
		}
	}
	return &whole, nil
}
