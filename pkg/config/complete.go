package config

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Completion is how a word of a command line may go on.
type Completion struct {
	// Text is the whole word: "train.", "train.epochs=" or "train.loss=mse". More is to be written behind "." and "=".
	Text string
	// Help is what the key or the kind means, in one sentence.
	Help string
}

// Complete lists how an override of an experiment's file may go on: keys a level at a time, then values. Keys of a section with
// kinds are those of the kind that the file and the overrides before choose. A file with mistakes, or none, is read as far as it
// goes.
func Complete(path string, overrides []string, word string) []Completion {
	return completions(word, reflect.ValueOf(lenient(path, overrides)).Elem())
}

// CompleteSweep lists how an override of a sweep's file may go on; set and space have the keys of its base.
func CompleteSweep(path string, overrides []string, word string) []Completion {
	s := DefaultSweep()
	if data, err := read(path); err == nil {
		if root, problems := parseYAML(path, data); problems == nil && root != nil {
			decodeOverridden(newDecoder(path, root, sweepAliases), overrides, s)
		}
	}
	for _, section := range []string{"set.", "space."} {
		rest, below := strings.CutPrefix(word, section)
		if !below {
			continue
		}
		var all []Completion
		for _, c := range Complete(basePath(path, s.Base), nil, rest) {
			all = append(all, Completion{section + c.Text, c.Help})
		}
		return all
	}
	return completions(word, reflect.ValueOf(s).Elem())
}

// lenient reads an experiment as far as it can be read.
func lenient(path string, overrides []string) *Experiment {
	e := Default()
	data, err := read(path)
	if err != nil {
		data = nil
	}
	root, problems := parseYAML(path, data)
	if problems != nil || root == nil {
		root = &yaml.Node{Kind: yaml.MappingNode}
	}
	decodeOverridden(newDecoder(path, root, aliases), overrides, e)
	return e
}

// decodeOverridden decodes what can be decoded.
func decodeOverridden(d *decoder, overrides []string, into any) {
	if d.document.root.Kind == yaml.MappingNode {
		for _, text := range overrides {
			d.override(text)
		}
	}
	d.decode(into)
}

// completions lists how a word goes on below a struct.
func completions(word string, value reflect.Value) []Completion {
	key, text, hasValue := strings.Cut(word, "=")
	keys := strings.Split(key, ".")
	section := ""
	level := levelOf(value)
	for _, name := range keys[:len(keys)-1] {
		i := slices.IndexFunc(level, func(k known) bool { return k.name == name })
		if i < 0 || level[i].below == nil {
			return nil
		}
		section = join(section, name)
		level = level[i].below()
	}
	last := keys[len(keys)-1]
	var all []Completion
	for _, k := range level {
		switch name := join(section, k.name); {
		case hasValue && k.name == last:
			for _, option := range k.options {
				if strings.HasPrefix(option.Text, text) {
					all = append(all, Completion{name + "=" + option.Text, option.Help})
				}
			}
		case hasValue || !strings.HasPrefix(k.name, last):
		default:
			if k.below != nil {
				all = append(all, Completion{name + ".", k.help})
			}
			if k.below == nil || k.short {
				all = append(all, Completion{name + "=", k.help})
			}
		}
	}
	return all
}

// brief is what of a comment fits beside a key: the beginning of its first sentence.
func brief(doc string) string {
	doc = firstSentence(strings.Join(strings.Fields(doc), " "))
	if end := strings.IndexAny(doc, ":;"); end > 0 {
		doc = doc[:end]
	}
	const most = 90
	if runes := []rune(doc); len(runes) > most {
		cut := string(runes[:most])
		return cut[:max(strings.LastIndexByte(cut, ' '), 1)] + " …"
	}
	return strings.TrimSuffix(doc, ".")
}

// known is a key that may be written.
type known struct {
	name, help string
	options    []Completion   // values
	below      func() []known // the keys below; nil of a key with a single value
	short      bool           // a single value may be written, too
}

// levelOf lists the keys of a struct.
func levelOf(value reflect.Value) []known {
	var level []known
	for _, f := range fieldsOf(value.Type()) {
		level = append(level, knownOf(f, value.FieldByIndex(f.index)))
	}
	return level
}

func knownOf(f field, value reflect.Value) known {
	k := known{name: f.name, help: brief(f.description())}
	switch {
	case f.isMapping():
		k.below = func() []known { return nil }
	case f.isKind():
		k.below = func() []known { return levelOfKind(f, value) }
	case f.isChain():
		k.below = func() []known {
			switch value.Len() {
			case 0:
				return []known{kindKeyOf(f.element(), "")}
			case 1:
				return levelOfKind(f.element(), value.Index(0))
			}
			return elements(f, value, func(i int) []known { return levelOfKind(f.element(), value.Index(i)) })
		}
	case f.isSections():
		k.below = func() []known {
			if value.Len() == 0 {
				return levelOf(reflect.Zero(f.typ.Elem()))
			}
			return elements(f, value, func(i int) []known { return levelOf(value.Index(i)) })
		}
	case f.typ.Kind() == reflect.Struct:
		k.below, k.short = func() []known { return levelOf(value) }, f.short != ""
	default:
		k.options = optionsOf(f, value)
	}
	return k
}

// elements lists the places of a list.
func elements(f field, value reflect.Value, below func(i int) []known) []known {
	var level []known
	for i := range value.Len() {
		level = append(level, known{name: strconv.Itoa(i), help: f.name + ", counted from 0", below: func() []known { return below(i) }})
	}
	return level
}

// levelOfKind lists the keys of a kind, the one that chooses it first.
func levelOfKind(f field, value reflect.Value) []known {
	if value.IsNil() || value.Elem().Kind() != reflect.Pointer || value.Elem().IsNil() {
		return []known{kindKeyOf(f, "")}
	}
	kind, _ := kindsOf(f.typ).kindOf(value.Interface())
	return append([]known{kindKeyOf(f, kind)}, levelOf(value.Elem().Elem())...)
}

// kindKeyOf is the key that chooses a kind.
func kindKeyOf(f field, now string) known {
	k := known{name: f.kindKey, help: "which kind", options: kindCompletions(f)}
	if now != "" {
		k.help += "; it is " + now
	}
	return k
}

// kindCompletions lists the kinds of a table.
func kindCompletions(f field) []Completion {
	var kinds []Completion
	for _, kind := range kindsOf(f.typ).names() {
		t := reflect.TypeOf(kindsOf(f.typ)[kind]()).Elem()
		kinds = append(kinds, Completion{kind, brief(docOf(t.String(), t.Name(), kind))})
	}
	return kinds
}

// optionsOf lists the values of a key, or the one that it has, to be changed.
func optionsOf(f field, value reflect.Value) []Completion {
	var options []Completion
	switch {
	case f.typ.Kind() == reflect.Bool:
		options = []Completion{{"true", ""}, {"false", ""}}
	case f.enum != nil && f.typ.Kind() == reflect.String:
		for _, word := range f.enum {
			options = append(options, Completion{word, ""})
		}
	case f.enum != nil:
		for _, word := range f.enum {
			options = append(options, Completion{"[" + word + "]", ""})
		}
	default:
		now := strings.Trim(defaultText(f, value), "`")
		if f.typ.Kind() == reflect.Slice || f.isRange() {
			now = strings.ReplaceAll(now, ", ", ",") // a shell ends words at spaces
		}
		if now != "" {
			return []Completion{{now, "as it is; " + f.want()}}
		}
	}
	return options
}
