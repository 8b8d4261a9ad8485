package config

import (
	"reflect"
	"strings"
)

// Keys are all keys that the values of an experiment can have (see [Experiment.Values]), those of every kind included, with what their
// values are: reflect.Bool, reflect.String, reflect.Float64 of numbers of any type, and reflect.Invalid where a value has several forms, such
// as a number or a list.
func Keys() map[string]reflect.Kind {
	keys := map[string]reflect.Kind{}
	addKeys(keys, "", reflect.TypeFor[Experiment]())
	return keys
}

// addKeys adds those of a section. A key that several kinds have with different types has several forms.
func addKeys(keys map[string]reflect.Kind, section string, t reflect.Type) {
	add := func(key string, kind reflect.Kind) {
		if known, found := keys[key]; found && known != kind {
			kind = reflect.Invalid
		}
		keys[key] = kind
	}
	for _, f := range fieldsOf(t) {
		key := join(section, f.name)
		if !isValue(key) {
			continue
		}
		if f.typ.Kind() == reflect.Struct && !f.isMapping() {
			addKeys(keys, key, f.typ)
		}
		if table := kindsOf(f.elementType()); table != nil {
			add(join(key, f.kindKey), reflect.String)
			for _, kind := range table.names() {
				addKeys(keys, key, reflect.TypeOf(table[kind]()).Elem())
			}
		}
		switch {
		case f.isKind() || f.typ.Kind() == reflect.Struct && f.short == "":
			// It has no value of its own.
		case f.typ.Kind() == reflect.Bool, f.typ.Kind() == reflect.String:
			add(key, f.typ.Kind())
		case f.typ.ConvertibleTo(reflect.TypeFor[float64]()):
			add(key, reflect.Float64)
		default:
			add(key, reflect.Invalid)
		}
	}
}

// isValue says whether a key is one of a value: name, output and tracking decide nothing.
func isValue(key string) bool {
	section, _, _ := strings.Cut(key, ".")
	return section != "name" && section != "output" && section != "tracking"
}

// Nearest returns the candidate that a slip of the fingers would turn into name, or "".
func Nearest(name string, candidates []string) string { return closest(name, candidates) }
