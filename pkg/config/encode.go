package config

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

// YAML returns the fully resolved experiment: every key, in the order of the structs, but for those that do nothing. Parsing it gives the
// experiment again.
func (e *Experiment) YAML() ([]byte, error) { return e.yaml(e.idle()) }

// yaml is YAML without some keys.
func (e *Experiment) yaml(idle []idleKey) ([]byte, error) {
	node, err := e.node(idle)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(node); err != nil {
		return nil, fmt.Errorf("write the experiment as YAML: %w", err)
	}
	return text.Bytes(), nil
}

// encoded is the experiment with its paths as they were written.
func (e *Experiment) encoded() (*yaml.Node, error) {
	node, err := encodeStruct(reflect.ValueOf(e).Elem())
	if err == nil {
		e.paths.restore(node)
	}
	return node, err
}

func (e *Experiment) node(idle []idleKey) (*yaml.Node, error) {
	node, err := e.encoded()
	if err != nil {
		return nil, fmt.Errorf("write the experiment as YAML: %w", err)
	}
	for _, key := range idle {
		without(node, strings.Split(key.key, "."))
	}
	return node, nil
}

// Sections are the values of these keys of the experiment, or of all, each as its own YAML, as [Experiment.YAML] has them.
func (e *Experiment) Sections(keys ...string) (map[string]string, error) {
	node, err := e.node(e.idle())
	if err != nil {
		return nil, err
	}
	sections := map[string]string{}
	for i := 0; i < len(node.Content); i += 2 {
		key := node.Content[i].Value
		if len(keys) > 0 && !slices.Contains(keys, key) {
			continue
		}
		text, err := yaml.Marshal(node.Content[i+1])
		if err != nil {
			return nil, fmt.Errorf("write the experiment as YAML: %w", err)
		}
		sections[key] = string(text)
	}
	return sections, nil
}

// Values are the single values of the experiment by their keys, such as train.learning_rate: numbers, booleans and text; lists, and
// mappings in them, as YAML on one line. The name, output and tracking are not among them.
func (e *Experiment) Values() (map[string]any, error) {
	node, err := e.encoded()
	if err != nil {
		return nil, fmt.Errorf("list the experiment's values: %w", err)
	}
	values := map[string]any{}
	err = eachValue("", node, func(key string, value any) {
		if isValue(key) {
			values[key] = value
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list the experiment's values: %w", err)
	}
	return values, nil
}

func encodeStruct(v reflect.Value) (*yaml.Node, error) {
	node := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range fieldsOf(v.Type()) {
		value, err := encode(f, v.FieldByIndex(f.index))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		node.Content = append(node.Content, textNode(f.name), value)
	}
	return node, nil
}

func encode(f field, v reflect.Value) (*yaml.Node, error) {
	switch {
	case f.isMapping():
		if node := v.Interface().(Mapping).node; node != nil {
			return node, nil
		}
		return &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}, nil
	case f.isKind():
		return encodeKind(f, v)
	case f.isChain() && v.Len() == 1:
		return encodeKind(f.element(), v.Index(0))
	case f.single && v.Len() == 1:
		return encode(f.element(), v.Index(0))
	case f.short != "" && onlyHas(v, f.stands()):
		return encode(f.stands(), v.FieldByIndex(f.stands().index))
	case f.typ.Kind() == reflect.Struct:
		return encodeStruct(v)
	case f.isRange() && v.Index(0).Float() == v.Index(1).Float():
		return encode(f.element(), v.Index(0))
	case f.typ.Kind() == reflect.Slice, f.isRange():
		list := &yaml.Node{Kind: yaml.SequenceNode}
		if f.flow || f.isRange() {
			list.Style = yaml.FlowStyle
		}
		for i := range v.Len() {
			element, err := encode(f.element(), v.Index(i))
			if err != nil {
				return nil, fmt.Errorf("%d: %w", i, err)
			}
			list.Content = append(list.Content, element)
		}
		return list, nil
	case f.typ.Kind() == reflect.String:
		return textNode(v.String()), nil
	case f.typ.Kind() == reflect.Float64:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.FormatFloat(v.Float(), 'g', -1, 64)}, nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(v.Interface())}, nil
}

// onlyHas says that of a section no other key has a value.
func onlyHas(v reflect.Value, key field) bool {
	other := reflect.New(v.Type()).Elem()
	other.Set(v)
	other.FieldByIndex(key.index).SetZero()
	return !slices.ContainsFunc(fieldsOf(v.Type()), func(f field) bool {
		value := other.FieldByIndex(f.index)
		return !(value.IsZero() || value.Kind() == reflect.Slice && value.Len() == 0)
	})
}

// encodeKind writes the key that chooses the kind, then the kind's own.
func encodeKind(f field, v reflect.Value) (*yaml.Node, error) {
	kind, ok := kindsOf(f.typ).kindOf(v.Interface())
	if !ok {
		return nil, fmt.Errorf("%T is not one of the kinds %s", v.Interface(), strings.Join(kindsOf(f.typ).names(), ", "))
	}
	node, err := encodeStruct(v.Elem().Elem())
	if err != nil {
		return nil, err
	}
	node.Content = append([]*yaml.Node{textNode(f.kindKey), textNode(kind)}, node.Content...)
	return node, nil
}

// textNode quotes text where YAML would take it for something else, or where not every character shows.
func textNode(text string) *yaml.Node {
	node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		node.Style = yaml.DoubleQuotedStyle
	}
	return node
}
