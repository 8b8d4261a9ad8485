package config

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"latent/pkg/corrupt"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/search"
)

// AddKind lets a config name a kind of one's own, in one of the tables corrupt.Kinds, model.Kinds, dataset.Kinds,
// search.Strategies and search.Pruners. kind returns a pointer to a struct with its defaults:
//
//	func main() {
//		config.AddKind(corrupt.Kinds, "scratches", func() corrupt.Corruption { return &Scratches{Count: 3} })
//		command.Main()
//	}
//
// The keys that a config has of it are the struct's exported fields, and their tags say what is allowed:
//
//	tag                  of                      says
//	yaml:"count"         every exported field    the key; ",flow" for a list on one line, ",inline" for an embedded struct
//	doc:"how many"       any                     what it means, for the schema; fields of Latent's own have comments
//	min:"1" max:"9"      numbers                 bounds; above and below for bounds that are themselves not allowed
//	enum:"a,b"           text                    what may be written
//	pattern:"^[a-z]+$"   text                    a regular expression that it matches
//	minitems, maxitems   lists                   the number of elements; the other tags are those of the elements
//	single:"yes"         lists                   one element may be written without the brackets
//	short:"model"        structs                 the value of that key may be written in the struct's place
//	literal:"yes"        text                    numbers and true and false may be written without quotes
//	path:"yes"           text                    a file, a folder or a pattern that is read, found as [Experiment.Directories] says
//	strength:"yes"       numbers                 an input of the program: see [corrupt.Corruption] and [model.Numbered]
//
// Fields are bool, string, int, int64, float64, lists of those, structs, or [corrupt.Range]. What the tags cannot say, a method
// Check(report func(key, problem string)) does, with words that name the cure. A blank field, as in
//
//	_ struct{} `doc:"draws bright lines"`
//
// says what the kind is.
//
// It is called before the first config is read. A mistake is one of the program, and panics: a name that is taken, a kind that
// makes nothing, a type that another name has, a tag that cannot be read, a default that is not allowed.
func AddKind[T any](kinds map[string]func() T, name string, kind func() T) {
	table, found := kindTables[reflect.TypeFor[T]()]
	if !found {
		panic(fmt.Errorf("config.AddKind %q: a config does not choose among kinds of %v", name, reflect.TypeFor[T]()))
	}
	problem := ""
	switch _, taken := kinds[name]; {
	case !kindName.MatchString(name):
		problem = "want a name of small letters, digits and '-'"
	case taken:
		problem = "the name is taken; choose another"
	case kind == nil:
		problem = "the function that makes it is nil"
	default:
		problem = table().mistake(kind())
	}
	if problem != "" {
		panic(fmt.Errorf("config.AddKind %q: %s", name, problem))
	}
	kinds[name] = kind
}

var kindName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// kindTable holds the kinds of an interface: each makes a pointer to a struct with its defaults.
type kindTable map[string]func() any

// kindTables return the tables of all interfaces that a config can choose from, as they are at the time.
var kindTables = map[reflect.Type]func() kindTable{
	reflect.TypeFor[dataset.Source]():     tableOf(dataset.Kinds),
	reflect.TypeFor[corrupt.Corruption](): tableOf(corrupt.Kinds),
	reflect.TypeFor[model.Model]():        tableOf(model.Kinds),
	reflect.TypeFor[model.Backbone]():     tableOf(model.Backbones),
	reflect.TypeFor[model.CodePrior]():    tableOf(model.Priors),
	reflect.TypeFor[model.CodePenalty]():  tableOf(model.Penalties),
	reflect.TypeFor[model.CodeFlow]():     tableOf(model.CodeFlows),
	reflect.TypeFor[search.Method]():      tableOf(search.Strategies),
	reflect.TypeFor[search.Pruner]():      tableOf(search.Pruners),
}

func tableOf[T any](kinds map[string]func() T) func() kindTable {
	return func() kindTable {
		table := kindTable{}
		for name, make := range kinds {
			table[name] = func() any { return make() }
		}
		return table
	}
}

// kindsOf returns the table of an interface; nil where a config does not choose among its kinds.
func kindsOf(t reflect.Type) kindTable {
	if table, found := kindTables[t]; found {
		return table()
	}
	return nil
}

// noKinds are names that one may well look for among the kinds of an interface, and why they are not there.
var noKinds = map[reflect.Type]map[string]string{
	reflect.TypeFor[model.Backbone](): model.NoBackbones,
	reflect.TypeFor[search.Pruner](): {
		"asha":               "ASHA is kind halving here",
		"successive-halving": "successive halving is kind halving here",
		"bohb":               "BOHB is strategy {kind: tpe} with early_stopping {kind: hyperband} here",
		"percentile":         "there is kind median, the 50th percentile",
	},
	reflect.TypeFor[search.Method](): {
		"bayesian": "Bayesian optimisation is kind tpe here, or kind gp, by a Gaussian process",
		"bayes":    "Bayesian optimisation is kind tpe here, or kind gp, by a Gaussian process",
		"optuna":   "Optuna's default is kind tpe here",
		"sobol":    "Sobol's sequence is {kind: quasi-random, sequence: sobol}",
		"halton":   "Halton's sequence is {kind: quasi-random, sequence: halton}",
		"bohb":     "BOHB is {kind: tpe} with early_stopping {kind: hyperband} here",
	},
}

// names lists the kinds in alphabetical order.
func (t kindTable) names() []string { return slices.Sorted(maps.Keys(t)) }

// fields lists the keys of a kind, without the one that chooses it.
func (t kindTable) fields(kind string) []field {
	return fieldsOf(reflect.TypeOf(t[kind]()).Elem())
}

// kindOf returns the kind of a value: the one whose constructor makes the same type with the same unexported fields.
func (t kindTable) kindOf(value any) (kind string, ok bool) {
	hidden := hiddenState(value)
	for _, kind := range t.names() {
		if reflect.DeepEqual(hiddenState(t[kind]()), hidden) {
			return kind, true
		}
	}
	return "", false
}

// hiddenState returns a copy of the struct behind a pointer with its exported fields zeroed.
func hiddenState(pointer any) any {
	original := reflect.ValueOf(pointer)
	if original.Kind() != reflect.Pointer || original.IsNil() {
		return nil
	}
	state := reflect.New(original.Type().Elem()).Elem()
	state.Set(original.Elem())
	for i := range state.NumField() {
		if f := state.Field(i); f.CanSet() {
			f.SetZero()
		}
	}
	return state.Interface()
}

// mistake says what is wrong with a kind that is to join the table, "" where nothing is.
func (t kindTable) mistake(kind any) string {
	value := reflect.ValueOf(kind)
	if value.Kind() != reflect.Pointer || value.Type().Elem().Kind() != reflect.Struct || value.IsNil() {
		return fmt.Sprintf("it makes a %T, want a pointer to a struct", kind)
	}
	if other, found := t.kindOf(kind); found {
		return fmt.Sprintf("it makes a %T, as %s does: a config is written back by the type; give it one of its own", kind, other)
	}
	if problem := structMistake(value.Type().Elem(), reserved()); problem != "" {
		return problem
	}
	d := newDecoder("", nil, nil)
	for _, f := range fieldsOf(value.Type().Elem()) {
		into := value.Elem().FieldByIndex(f.index)
		node, err := encode(f, into)
		if err != nil {
			return fmt.Sprintf("%s: its default cannot be written: %v", f.doc, err)
		}
		if d.value(f.name, place{}, node, f, reflect.New(f.typ).Elem()); len(d.problems) > 0 {
			return fmt.Sprintf("%s: its default is not allowed: %s", f.doc, d.problems[0].Message)
		}
	}
	if _, has := value.Type().MethodByName("Check"); has {
		if _, asked := kind.(checker); !asked {
			return fmt.Sprintf("the method Check of %T is not func(report func(key, problem string))", kind)
		}
	}
	return ""
}

// reserved are the keys of a kind's section that are none of its fields', and whose they are.
func reserved() map[string]string {
	return map[string]string{"kind": "what chooses the kind", "dataset": "what chooses the dataset"}
}

// structMistake says what is wrong with the fields and the tags of a struct that a config is to fill, "" where nothing is. keys are
// those that its section has already, by what they are for.
func structMistake(t reflect.Type, keys map[string]string) string {
	for i := range t.NumField() {
		f := t.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		wrong := func(format string, args ...any) string {
			return fmt.Sprintf("%v.%s: %s", t, f.Name, fmt.Sprintf(format, args...))
		}
		switch _, has := f.Tag.Lookup("yaml"); {
		case !f.IsExported() && has:
			return wrong("it has a tag yaml and is not exported, so that a config cannot fill it; write it with a capital")
		case !f.IsExported():
			continue
		case option == "inline" && f.Type.Kind() == reflect.Struct:
			if problem := structMistake(f.Type, reserved()); problem != "" {
				return problem
			}
			for _, inner := range fieldsOf(f.Type) {
				if keys[inner.name] != "" {
					return wrong("its key %s is that of %s", inner.name, keys[inner.name])
				}
				keys[inner.name] = inner.doc
			}
			continue
		case name == "" || name == "-":
			return wrong("it has no tag yaml with a name: a config could not fill it, and a run that goes on would lose it; add one, or do not export it")
		case keys[name] != "":
			return wrong("its key %s is that of %s", name, keys[name])
		}
		keys[name] = f.Name
		if problem := tagMistake(f); problem != "" {
			return wrong("%s", problem)
		}
		element := f.Type
		if kind := element.Kind(); kind == reflect.Slice || kind == reflect.Array && element.Len() == 2 {
			element = element.Elem()
		}
		switch element.Kind() {
		case reflect.Bool, reflect.String, reflect.Int, reflect.Int64, reflect.Float64:
		case reflect.Struct:
			if problem := structMistake(element, map[string]string{}); problem != "" {
				return problem
			}
		case reflect.Interface:
			if kindsOf(element) == nil || f.Tag.Get("kind") == "" {
				return wrong("a config cannot hold a %v; see config.AddKind", f.Type)
			}
		default:
			return wrong("a config cannot hold a %v; see config.AddKind", f.Type)
		}
	}
	return ""
}

// tagMistake says what is wrong with the tags of one field.
func tagMistake(f reflect.StructField) string {
	read := []string{"yaml", "doc", "min", "max", "above", "below", "enum", "pattern", "minitems", "maxitems", "strength"}
	rest := string(f.Tag)
	for rest != "" {
		name, after, found := strings.Cut(strings.TrimLeft(rest, " "), ":")
		quoted, err := strconv.QuotedPrefix(after)
		if !found || err != nil {
			return fmt.Sprintf("its tags cannot be read from `%s` on; each is name:\"value\", with a space between two", rest)
		}
		value, _ := strconv.Unquote(quoted)
		rest = after[len(quoted):]
		switch name {
		case "min", "max", "above", "below", "minitems", "maxitems":
			if _, err := strconv.ParseFloat(value, 64); err != nil {
				return fmt.Sprintf("tag %s:%s is not a number", name, quoted)
			}
		case "pattern":
			if _, err := regexp.Compile(value); err != nil {
				return fmt.Sprintf("tag %s:%s: %v", name, quoted, err)
			}
		case "strength":
			if value != "yes" {
				return fmt.Sprintf("tag strength:%s; want \"yes\", or no such tag", quoted)
			}
		}
		if near := closest(name, read); near != "" && near != name && !slices.Contains(read, name) {
			return fmt.Sprintf("tag %s is not read; did you mean %s?", name, near)
		}
	}
	return ""
}
