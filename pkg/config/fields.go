package config

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// field is a key of a config, or the elements of a list, as a struct's tags describe it; see [AddKind]. The bounds of a list's
// field are those of its elements, and so are those of an array of two numbers, which is a range: it is written as one number,
// or as the lowest and the highest in a list. A field of an interface type, or a list of them, has kind:"name", the key that
// chooses among the interface's kinds.
type field struct {
	name    string // "" for an element
	typ     reflect.Type
	index   []int  // of the field in its struct
	doc     string // its name in docs
	said    string // what it means, where a tag says it
	flow    bool
	kindKey string

	minimum, maximum, above, below float64 // -Inf or +Inf where there is no bound
	enum                           []string
	pattern                        *regexp.Regexp
	minItems, maxItems             int    // -1 where there is no bound
	single                         bool   // of a list: one element may stand for it
	literal                        bool   // of text: numbers need no quotes
	path                           bool   // of text: a file, a folder or a pattern, which is read
	short                          string // of a section: the key whose value may stand for it
}

// fieldsOf lists the keys of a struct, in its order. The list is shared: it is not to be changed.
func fieldsOf(t reflect.Type) []field {
	if known, found := knownFields.Load(t); found {
		return known.([]field)
	}
	fields := readFields(t)
	knownFields.Store(t, fields)
	return fields
}

// knownFields are the lists of fieldsOf, by type: a sweep asks for them for each trial.
var knownFields sync.Map

func readFields(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case option == "inline":
			for _, inner := range fieldsOf(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				fields = append(fields, inner)
			}
		case name != "":
			fields = append(fields, newField(name, option == "flow", t, f))
		}
	}
	return fields
}

func newField(name string, flow bool, owner reflect.Type, f reflect.StructField) field {
	number := func(tag string, absent float64) float64 {
		text, ok := f.Tag.Lookup(tag)
		if !ok {
			return absent
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			panic(fmt.Errorf("%v.%s: tag %s:%q is not a number", owner, f.Name, tag, text))
		}
		return value
	}
	described := field{
		name: name, typ: f.Type, index: f.Index, doc: fmt.Sprintf("%v.%s", owner, f.Name), said: f.Tag.Get("doc"), flow: flow,
		kindKey: f.Tag.Get("kind"),
		minimum: number("min", math.Inf(-1)), maximum: number("max", math.Inf(1)),
		above: number("above", math.Inf(-1)), below: number("below", math.Inf(1)),
		minItems: int(number("minitems", -1)), maxItems: int(number("maxitems", -1)), single: f.Tag.Get("single") != "",
		literal: f.Tag.Get("literal") != "", path: f.Tag.Get("path") != "", short: f.Tag.Get("short"),
	}
	if enum := f.Tag.Get("enum"); enum != "" {
		described.enum = strings.Split(enum, ",")
	}
	if pattern := f.Tag.Get("pattern"); pattern != "" {
		described.pattern = regexp.MustCompile(pattern)
	}
	return described
}

// element describes the elements of a list, or the ends of a range.
func (f field) element() field {
	f.typ = f.typ.Elem()
	f.name, f.minItems, f.maxItems, f.single = "", -1, -1, false
	return f
}

// isKind says whether the field's value is one of several kinds.
func (f field) isKind() bool { return f.typ.Kind() == reflect.Interface }

// isChain says whether the field's value is a list of kinds, or one of them.
func (f field) isChain() bool {
	return f.typ.Kind() == reflect.Slice && f.typ.Elem().Kind() == reflect.Interface
}

// isMapping says whether the field's value is a mapping whose keys are not fixed.
func (f field) isMapping() bool { return f.typ == reflect.TypeFor[Mapping]() }

// isSections says whether the field's value is a list of sections, or one of them.
func (f field) isSections() bool {
	return f.typ.Kind() == reflect.Slice && f.typ.Elem().Kind() == reflect.Struct
}

// stands is the key whose value may stand for a section.
func (f field) stands() field {
	fields := fieldsOf(f.typ)
	return fields[slices.IndexFunc(fields, func(inner field) bool { return inner.name == f.short })]
}

// isRange says whether the field's value is a range of numbers.
func (f field) isRange() bool { return f.typ.Kind() == reflect.Array }

// allows says whether a number is within the bounds.
func (f field) allows(x float64) bool {
	return x >= f.minimum && x <= f.maximum && x > f.above && x < f.below
}

// want says what may be written.
func (f field) want() string {
	switch {
	case f.isMapping():
		return "a mapping"
	case f.isSections():
		return f.element().want() + "; or a list of them"
	case f.isKind():
		return fmt.Sprintf("a mapping with %s: %s", f.kindKey, oneOf(kindsOf(f.typ).names()))
	case f.isChain():
		return f.element().want() + "; or a list of them"
	case f.isRange():
		return f.element().wantScalar(false) + "; or [lowest, highest] of a range"
	case f.short != "":
		return f.stands().want() + "; or a mapping with any of the keys " + strings.Join(names(fieldsOf(f.typ)), ", ")
	case f.typ.Kind() == reflect.Struct:
		return "a mapping with any of the keys " + strings.Join(names(fieldsOf(f.typ)), ", ")
	case f.typ.Kind() == reflect.Slice:
		count := ""
		switch {
		case f.minItems > 0 && f.maxItems >= 0:
			count = fmt.Sprintf("%d to %d ", f.minItems, f.maxItems)
		case f.minItems > 0:
			count = fmt.Sprintf("at least %d ", f.minItems)
		case f.maxItems >= 0:
			count = fmt.Sprintf("at most %d ", f.maxItems)
		}
		list := "a list of " + count + f.element().wantScalar(true)
		if f.single {
			return f.element().wantScalar(false) + "; or " + list
		}
		return list
	}
	return f.wantScalar(false)
}

func (f field) wantScalar(plural bool) string {
	choose := func(one, many string) string {
		if plural {
			return many
		}
		return one
	}
	switch kind := f.typ.Kind(); {
	case kind == reflect.Bool:
		return "true or false"
	case f.enum != nil:
		return choose("", "values, each ") + oneOf(f.enum)
	case f.pattern != nil:
		return choose("text that matches ", "texts that match ") + f.pattern.String()
	case kind == reflect.String:
		return choose("text", "texts")
	case f.typ.Kind() == reflect.Float64:
		return choose("a number", "numbers") + f.wantRange()
	}
	return choose("a whole number", "whole numbers") + f.wantRange()
}

func (f field) wantRange() string {
	if !math.IsInf(f.minimum, 0) && !math.IsInf(f.maximum, 0) {
		return fmt.Sprintf(" from %s to %s", number(f.minimum), number(f.maximum))
	}
	var bounds []string
	for _, bound := range []struct {
		words string
		value float64
	}{{"above", f.above}, {"at least", f.minimum}, {"at most", f.maximum}, {"below", f.below}} {
		if !math.IsInf(bound.value, 0) {
			bounds = append(bounds, bound.words+" "+number(bound.value))
		}
	}
	if len(bounds) == 0 {
		return ""
	}
	return ", " + strings.Join(bounds, " and ")
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

func oneOf(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return "one of " + strings.Join(names, ", ")
}

func names(fields []field) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}
