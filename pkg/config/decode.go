package config

import (
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

// decoder reads a document into structs as their tags say, and collects what is wrong.
//
// Package yaml's own strict decoding stops at the first mistake, and forgets to be strict below a custom unmarshaler.
type decoder struct {
	*document
	root     reflect.Type        // the struct of the whole document
	aliases  map[string][]string // names that people try, and the keys to write instead
	problems Problems
	places   map[string]place // by dotted key: those that are written
	unsound  map[string]bool  // dotted keys whose values cannot be relied on

	paths paths // that were found elsewhere than from the working directory, or nowhere

	contradictions []int // places among the problems: those of values that are each allowed
}

// maxProblems bounds what a file of nonsense prints.
const maxProblems = 100

// checker is a struct with rules that its tags cannot say. key is a key of the struct.
type checker interface {
	Check(report func(key, problem string))
}

func newDecoder(file string, root *yaml.Node, aliases map[string][]string) *decoder {
	return &decoder{
		document: &document{file: file, root: root, overrides: map[*yaml.Node]string{}},
		aliases:  aliases, places: map[string]place{}, unsound: map[string]bool{},
	}
}

// decode reads the document into the struct behind a pointer; what is not written keeps its value there.
func (d *decoder) decode(into any) {
	value := reflect.ValueOf(into).Elem()
	d.root = value.Type()
	d.value("", d.placeOf(d.document.root), d.document.root, field{typ: d.root}, value)
}

func (d *decoder) report(key string, at place, format string, args ...any) {
	d.unsound[key] = true
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, at.problem(key, fmt.Sprintf(format, args...)))
	}
}

// value reads one value. at is the place of its key.
func (d *decoder) value(key string, at place, node *yaml.Node, f field, into reflect.Value) {
	mismatch := func(cure string) { d.report(key, at, "found %s, want %s%s", found(node), f.want(), cure) }
	switch {
	case node.Style&yaml.TaggedStyle != 0:
		d.report(key, at, "tags such as %s are not read; leave it out", printable(node.Tag))
	case node.ShortTag() == "!!null" && f.name != "":
		none := ""
		if f.isChain() && slices.Contains(kindsOf(f.typ.Elem()).names(), "none") {
			none = fmt.Sprintf("; for none write {%s: none}", f.kindKey)
		}
		mismatch(none + "; or leave the key out, for its default")
	case f.isMapping():
		d.free(key, at, node, f, into)
	case f.isKind():
		d.kind(key, at, node, f, into)
	case f.isChain() && node.Kind == yaml.MappingNode:
		into.Set(reflect.MakeSlice(f.typ, 1, 1))
		d.kind(key, at, node, f.element(), into.Index(0))
	case f.isRange():
		d.ends(key, at, node, f, into)
	case f.isSections() && node.Kind == yaml.MappingNode:
		into.Set(reflect.MakeSlice(f.typ, 1, 1))
		d.mapping(key+".0", node, fieldsOf(f.typ.Elem()), nil, into.Index(0))
	case f.isSections() && node.Kind == yaml.ScalarNode:
		mismatch(fmt.Sprintf("; write {%s: %s}", fieldsOf(f.typ.Elem())[0].name, shorten(node.Value)))
	case f.single && node.Kind == yaml.ScalarNode:
		into.Set(reflect.MakeSlice(f.typ, 1, 1))
		if !d.scalar(at, node, f.element(), into.Index(0)) {
			mismatch(cure(node, f.element()))
		}
	case f.typ.Kind() == reflect.Slice:
		d.list(key, at, node, f, into)
	case f.typ.Kind() == reflect.Struct && node.Kind == yaml.MappingNode:
		d.mapping(key, node, fieldsOf(f.typ), nil, into)
	case f.short != "" && node.Kind == yaml.ScalarNode:
		inner := f.stands()
		d.value(key, at, node, inner, into.FieldByIndex(inner.index))
	case f.typ.Kind() == reflect.Struct || node.Kind != yaml.ScalarNode:
		mismatch("")
	case !d.scalar(at, node, f, into):
		mismatch(cure(node, f))
	}
}

// scalar is setScalar, and finds a path that the file has. One of the command line is seen from the working directory.
func (d *decoder) scalar(at place, node *yaml.Node, f field, into reflect.Value) bool {
	if !setScalar(node, f, into) {
		return false
	}
	switch written := into.String(); {
	case f.path && at.isOverride():
		d.paths.relative = d.paths.relative || written != "" && !filepath.IsAbs(written)
	case f.path:
		into.SetString(d.paths.find(d.file, written))
	}
	return true
}

// list reads a sequence.
func (d *decoder) list(key string, at place, node *yaml.Node, f field, into reflect.Value) {
	count := len(node.Content)
	switch {
	case node.Kind != yaml.SequenceNode:
		cure := ""
		if f.isChain() {
			cure = kindCure(node, f.element())
		} else if node.Kind == yaml.ScalarNode && setScalar(node, f.element(), reflect.New(f.typ.Elem()).Elem()) {
			cure = fmt.Sprintf("; write [%s]", node.Value)
		}
		d.report(key, at, "found %s, want %s%s", found(node), f.want(), cure)
		return
	case count < f.minItems, f.maxItems >= 0 && count > f.maxItems:
		d.report(key, at, "found a list of %d, want %s", count, f.want())
		return
	}
	into.SetZero()
	for i, child := range node.Content {
		into.Set(reflect.Append(into, reflect.Zero(f.typ.Elem())))
		element := join(key, strconv.Itoa(i))
		d.places[element] = d.placeOf(child)
		d.value(element, d.placeOf(child), child, f.element(), into.Index(i))
	}
}

// free keeps a mapping whose keys are not fixed, as YAML.
func (d *decoder) free(key string, at place, node *yaml.Node, f field, into reflect.Value) {
	if node.Kind != yaml.MappingNode {
		d.report(key, at, "found %s, want %s", found(node), f.want())
		return
	}
	d.plain(key, node)
	into.Set(reflect.ValueOf(Mapping{node}))
}

// plain reports what is never read, anywhere below a node.
func (d *decoder) plain(key string, node *yaml.Node) {
	names := map[string]bool{}
	for i, child := range node.Content {
		at, path := d.placeOf(child), key
		if node.Kind == yaml.MappingNode {
			path = join(key, printable(node.Content[i/2*2].Value))
		}
		isName := node.Kind == yaml.MappingNode && i%2 == 0
		switch {
		case child.Style&yaml.TaggedStyle != 0:
			d.report(path, at, "tags such as %s are not read; leave it out", printable(child.Tag))
		case isName && (child.Kind != yaml.ScalarNode || child.Value == ""):
			d.report(path, at, "found %s as a key, want a name", found(child))
		case isName && names[child.Value]:
			d.report(path, at, "written twice")
		case isName:
			d.places[path] = at
			names[child.Value] = true
		}
		d.plain(path, child)
	}
}

// ends reads a range: one number, which is both its ends, or a list of the two.
func (d *decoder) ends(key string, at place, node *yaml.Node, f field, into reflect.Value) {
	written := []*yaml.Node{node, node}
	if node.Kind == yaml.SequenceNode && len(node.Content) == 2 {
		written = node.Content
	}
	for i, end := range written {
		if end.Kind != yaml.ScalarNode || !setScalar(end, f.element(), into.Index(i)) {
			d.report(key, at, "found %s, want %s%s", found(end), f.want(), cure(end, f.element()))
			return
		}
	}
	if low, high := into.Index(0).Float(), into.Index(1).Float(); low > high {
		d.report(key, at, "found [%s, %s], whose lowest comes last; swap them", number(low), number(high))
	}
}

// choice is the kind that a mapping has.
type choice struct {
	table kindTable
	key   string // that chooses
	kind  string
	place place // of the key, if it is written
}

// kind reads a mapping that may say of which kind it is; else it is of the kind that the value already has.
func (d *decoder) kind(key string, at place, node *yaml.Node, f field, into reflect.Value) {
	if node.Kind != yaml.MappingNode {
		d.report(key, at, "found %s, want %s%s", found(node), f.want(), kindCure(node, f))
		return
	}
	chosen := choice{table: kindsOf(f.typ), key: f.kindKey}
	kinds := chosen.table.names()
	if i := indexOf(node, f.kindKey); i >= 0 {
		value := node.Content[i+1]
		chosen.place = d.placeOf(node.Content[i])
		if why, known := noKinds[f.typ][value.Value]; known {
			d.report(join(key, f.kindKey), chosen.place, "%s", why)
			return
		}
		selector := field{typ: reflect.TypeFor[string](), enum: kinds}
		d.value(join(key, f.kindKey), chosen.place, value, selector, reflect.ValueOf(&chosen.kind).Elem())
		if chosen.kind == "" {
			chosen.kind = closest(value.Value, kinds) // the rest is read as what was most likely meant
		}
		if chosen.kind == "" {
			return
		}
	} else if chosen.kind, _ = chosen.table.kindOf(into.Interface()); chosen.kind == "" {
		d.report(key, at, "%s is missing, want %s", f.kindKey, oneOf(kinds))
		return
	}
	value := reflect.ValueOf(chosen.table[chosen.kind]())
	into.Set(value)
	d.mapping(key, node, chosen.table.fields(chosen.kind), &chosen, value.Elem())
}

// mapping reads the keys of a struct.
func (d *decoder) mapping(key string, node *yaml.Node, fields []field, chosen *choice, into reflect.Value) {
	first := map[string]place{}
	for i := 0; i < len(node.Content) && len(d.problems) < maxProblems; i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		at := d.placeOf(name)
		if name.Kind != yaml.ScalarNode || name.ShortTag() == "!!null" {
			d.report(key, at, "found %s as a key, want a name", found(name))
			continue
		}
		path := join(key, printable(name.Value))
		if before, twice := first[name.Value]; twice {
			d.report(path, at, "written twice; it is already in %s", before)
			continue
		}
		first[name.Value] = at
		d.places[path] = at
		if chosen != nil && name.Value == chosen.key {
			continue
		}
		if j := slices.IndexFunc(fields, func(f field) bool { return f.name == name.Value }); j >= 0 {
			d.value(path, at, value, fields[j], into.FieldByIndex(fields[j].index))
		} else {
			d.unknown(key, name.Value, at, fields, chosen)
		}
	}
	if c, ok := into.Addr().Interface().(checker); ok {
		c.Check(func(name, problem string) {
			i := slices.IndexFunc(fields, func(f field) bool { return f.name == name && f.path })
			if i >= 0 && into.FieldByIndex(fields[i].index).Kind() == reflect.String {
				problem += d.paths.where(into.FieldByIndex(fields[i].index).String())
			}
			d.contradiction(problem, join(key, name))
		})
	}
}

// contradiction reports a problem of values that are each allowed. keys are what it rests on: the first is the one to
// blame, and nothing is said where one of them has a problem of its own.
func (d *decoder) contradiction(problem string, keys ...string) {
	for bad := range d.unsound {
		for _, key := range keys {
			if bad == "" || bad == key || strings.HasPrefix(key, bad+".") || strings.HasPrefix(bad, key+".") {
				return
			}
		}
	}
	at := source{d.file, d.places}.nearest(keys[0])
	for _, key := range keys {
		if written, ok := d.places[key]; ok {
			at = written
			break
		}
	}
	if len(d.problems) < maxProblems {
		d.contradictions = append(d.contradictions, len(d.problems))
	}
	d.report(keys[0], at, "%s", problem)
}

func join(parent, name string) string {
	if parent == "" {
		return name
	}
	return parent + "." + name
}

var (
	wholeNumber = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)$`)
	anyNumber   = regexp.MustCompile(`^[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
)

// setScalar sets a value if the field allows what is written.
//
// Numbers are decimal, without zeros in front: package yaml takes 010 for 8, and YAML 1.2 for 10.
func setScalar(node *yaml.Node, f field, into reflect.Value) bool {
	text := node.Value
	switch f.typ.Kind() {
	case reflect.Bool:
		if !isPlain(node) || text != "true" && text != "false" {
			return false
		}
		into.SetBool(text == "true")
	case reflect.String:
		if isLiteral(node) && !(f.literal && node.ShortTag() != "!!null") || f.enum != nil && !slices.Contains(f.enum, text) || f.pattern != nil && !f.pattern.MatchString(text) {
			return false
		}
		into.SetString(text)
	case reflect.Int, reflect.Int64:
		x, err := strconv.ParseInt(text, 10, f.typ.Bits())
		if err != nil || !isPlain(node) || !wholeNumber.MatchString(text) || !f.allows(float64(x)) {
			return false
		}
		into.SetInt(x)
	case reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || !isPlain(node) || !anyNumber.MatchString(text) || !f.allows(x) || math.IsInf(x, 0) {
			return false
		}
		into.SetFloat(x)
	default:
		panic(fmt.Errorf("%s: a config cannot hold a %v", f.doc, f.typ))
	}
	return true
}

// isPlain says whether a scalar is written without quotes.
func isPlain(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.Style == 0 }

// isLiteral says whether YAML takes a scalar for something other than text.
func isLiteral(node *yaml.Node) bool {
	return isPlain(node) && slices.Contains([]string{"!!int", "!!float", "!!bool", "!!null"}, node.ShortTag())
}

// cure says how to mend a scalar that is not allowed.
func cure(node *yaml.Node, f field) string {
	isText := f.typ.Kind() == reflect.String
	unquoted := &yaml.Node{Kind: yaml.ScalarNode, Value: node.Value}
	switch {
	case f.enum != nil:
		if name := closest(node.Value, f.enum); name != "" {
			return "; did you mean " + name + "?"
		}
	case isText && isLiteral(node):
		return "; put it in quotes"
	case !isText && !isPlain(node) && setScalar(unquoted, f, reflect.New(f.typ).Elem()):
		return "; remove the quotes"
	}
	return ""
}

// kindCure says how to write a kind that was given by its name alone.
func kindCure(node *yaml.Node, f field) string {
	if why, known := noKinds[f.typ][node.Value]; known {
		return "; " + why
	}
	if name := closest(node.Value, kindsOf(f.typ).names()); node.Kind == yaml.ScalarNode && name != "" {
		return fmt.Sprintf("; write {%s: %s}", f.kindKey, name)
	}
	return ""
}

// found describes what is written.
func found(node *yaml.Node) string {
	switch {
	case node.Kind == yaml.MappingNode:
		return "a mapping"
	case node.Kind == yaml.SequenceNode:
		return "a list"
	case isPlain(node) && node.ShortTag() == "!!null" && node.Value == "":
		return "nothing"
	case isPlain(node) && node.ShortTag() == "!!null":
		return "nothing (" + node.Value + ")"
	case isLiteral(node):
		return printable(node.Value)
	}
	return strconv.Quote(shorten(node.Value))
}

// printable shortens a name from a file, and quotes it where it has characters that do not show.
func printable(name string) string {
	if name = shorten(name); name == "" || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(name)
	}
	return name
}

func shorten(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
