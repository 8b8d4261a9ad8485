package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Difference is a key with different values in some experiments.
type Difference struct {
	Key string
	// Values are those of the experiments, in their order: numbers, booleans and text, lists as YAML on one line; nil where an
	// experiment does not have the key.
	Values []any
}

// Differences lists the keys whose values are not the same in all experiments, in the order of a config. A name, and where output
// goes, are keys like others here.
func Differences(experiments ...*Experiment) ([]Difference, error) {
	nodes := make([]*yaml.Node, len(experiments))
	for i, e := range experiments {
		var err error
		if nodes[i], err = e.encoded(); err != nil {
			return nil, fmt.Errorf("compare experiments: %w", err)
		}
	}
	found, err := differencesOf(nodes)
	if err != nil {
		return nil, fmt.Errorf("compare experiments: %w", err)
	}
	return found, nil
}

// SweepDifferences is the same of sweeps. Keys of the experiments that they vary, with what the sweeps set, begin with base.
func SweepDifferences(sweeps ...*Sweep) ([]Difference, error) {
	nodes := make([]*yaml.Node, len(sweeps))
	for i, s := range sweeps {
		base, err := s.BaseExperiment()
		if err != nil {
			return nil, err
		}
		resolved := *s
		resolved.Set = Mapping{} // which the base has already
		node, err := encodeStruct(reflect.ValueOf(&resolved).Elem())
		if err != nil {
			return nil, fmt.Errorf("compare sweeps: %w", err)
		}
		for j := 0; j < len(node.Content); j += 2 {
			if node.Content[j].Value != "base" {
				continue
			}
			if node.Content[j+1], err = base.encoded(); err != nil {
				return nil, fmt.Errorf("compare sweeps: %w", err)
			}
		}
		nodes[i] = node
	}
	found, err := differencesOf(nodes)
	if err != nil {
		return nil, fmt.Errorf("compare sweeps: %w", err)
	}
	return found, nil
}

// differencesOf lists the keys of mappings whose values are not the same in all.
func differencesOf(nodes []*yaml.Node) ([]Difference, error) {
	var keys []string
	all := make([]map[string]any, len(nodes))
	for i, node := range nodes {
		all[i] = map[string]any{}
		last := -1 // where the key before is
		err := eachValue("", node, func(key string, value any) {
			all[i][key] = value
			at := slices.Index(keys, key)
			if at < 0 {
				// Behind the key before it, but a section behind all of the section before.
				at = last + 1
				for last >= 0 && at < len(keys) && sectionOf(keys[at]) == sectionOf(keys[last]) && sectionOf(key) != sectionOf(keys[last]) {
					at++
				}
				keys = slices.Insert(keys, at, key)
			}
			last = at
		})
		if err != nil {
			return nil, err
		}
	}
	var differences []Difference
	for _, key := range keys {
		d := Difference{Key: key}
		for _, values := range all {
			d.Values = append(d.Values, values[key])
		}
		if slices.ContainsFunc(d.Values, func(value any) bool { return value != d.Values[0] }) {
			differences = append(differences, d)
		}
	}
	return differences, nil
}

func sectionOf(key string) string {
	section, _, _ := strings.Cut(key, ".")
	return section
}

// Changes lists the values that are not the defaults, in the order of a config. Values has the default and the experiment's. In a
// section that has a kind, the defaults are that kind's, and the kind is a change where it is another than without the section.
func (e *Experiment) Changes() ([]Difference, error) {
	defaults := Default()
	from, into := reflect.ValueOf(e).Elem(), reflect.ValueOf(defaults).Elem()
	for _, f := range fieldsOf(into.Type()) {
		value, target := from.FieldByIndex(f.index), into.FieldByIndex(f.index)
		switch {
		case f.isKind():
			target.Set(defaultOf(f, value))
		case f.isChain():
			target.Set(reflect.MakeSlice(f.typ, value.Len(), value.Len()))
			for i := range value.Len() {
				target.Index(i).Set(defaultOf(f.element(), value.Index(i)))
			}
		}
	}
	differences, err := Differences(Default(), defaults, e)
	if err != nil {
		return nil, err
	}
	var changes []Difference
	for _, d := range differences {
		before, value := d.Values[1], d.Values[2]
		if namesKind(d.Key) {
			before = d.Values[0]
		}
		if value != nil && value != before {
			changes = append(changes, Difference{Key: d.Key, Values: []any{before, value}})
		}
	}
	return changes, nil
}

// defaultOf is a new value of the kind that a value has; of a kind in no table, the value.
func defaultOf(f field, value reflect.Value) reflect.Value {
	kind, ok := kindsOf(f.typ).kindOf(value.Interface())
	if !ok {
		return value
	}
	return reflect.ValueOf(kindsOf(f.typ)[kind]())
}

// namesKind says whether a key of the experiment chooses a kind, or several in a list.
func namesKind(key string) bool {
	return slices.ContainsFunc(fieldsOf(reflect.TypeFor[Experiment]()), func(f field) bool {
		return (f.isKind() || f.isChain()) && (key == f.name || key == join(f.name, f.kindKey))
	})
}

// eachValue calls a function with each single value below a mapping, and its key.
func eachValue(section string, node *yaml.Node, yield func(key string, value any)) error {
	for i := 0; i < len(node.Content); i += 2 {
		key, value := join(section, node.Content[i].Value), node.Content[i+1]
		switch value.Kind {
		case yaml.MappingNode:
			if err := eachValue(key, value, yield); err != nil {
				return err
			}
		case yaml.SequenceNode:
			yield(key, flow(value))
		default:
			var x any
			if err := value.Decode(&x); err != nil {
				return err
			}
			yield(key, x)
		}
	}
	return nil
}
