package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"latent/pkg/model"
)

// starterKeys are the keys that a first config has, in the sections whose keys do not depend on a kind; of the others it has all.
var starterKeys = map[string][]string{
	"":       {"seed", "data", "corrupt", "model", "train", "output"},
	"train":  {"optimizer", "learning_rate", "schedule", "batch_size", "epochs", "loss", "early_stopping"},
	"output": {"show"},
}

// Starter returns a config to begin with: the default experiment with a kind of model, which is one of [model.Kinds]. The keys that
// a beginner changes are written with their defaults, each explained by a comment.
func Starter(kind string) ([]byte, error) {
	made, found := model.Kinds[kind]
	if !found {
		names := kindsOf(reflect.TypeFor[model.Model]()).names()
		cure := ""
		if near := closest(kind, names); near != "" {
			cure = "did you mean " + near + "? "
		}
		return nil, fmt.Errorf("no kind of model %q; %sthere are %s", kind, cure, strings.Join(names, ", "))
	}
	e := Default()
	e.Model = made()
	s := starter{idle: map[string]bool{}}
	for _, idle := range e.idle() {
		s.idle[idle.key] = true
	}
	s.WriteString(starterHead)
	s.section("", 0, fieldsOf(reflect.TypeFor[Experiment]()), reflect.ValueOf(e).Elem())
	return []byte(s.String()), nil
}

const starterHead = `# An experiment of Latent. What it does not say keeps its default: latent config show FILE prints every key,
# latent config check FILE finds mistakes, and latent run FILE runs it. On the command line, train.epochs=3 and the like override
# what is written here.
`

// starter is a config that is being written.
type starter struct {
	strings.Builder
	idle map[string]bool // keys that do nothing, with the others as they are
}

// section writes keys of a section.
func (s *starter) section(section string, depth int, fields []field, value reflect.Value) {
	wanted := starterKeys[section]
	for _, f := range fields {
		if wanted != nil && !slices.Contains(wanted, f.name) {
			continue
		}
		s.key(section, depth, f, value.FieldByIndex(f.index))
	}
}

// key writes a key, or the section that it is.
func (s *starter) key(section string, depth int, f field, value reflect.Value) {
	if depth == 0 {
		s.WriteString("\n")
	}
	indent := strings.Repeat("  ", depth)
	doc := strings.Join(strings.Fields(f.description()), " ")
	switch {
	case f.isKind():
		s.comment(indent, doc)
		kind, _ := kindsOf(f.typ).kindOf(value.Interface())
		fmt.Fprintf(s, "%s%s:\n", indent, f.name)
		t := value.Elem().Elem().Type()
		s.comment(indent+"  ", firstSentence(strings.Join(strings.Fields(docOf(t.String(), t.Name(), kind)), " "))+
			" There are also "+strings.Join(slices.DeleteFunc(kindsOf(f.typ).names(), func(name string) bool { return name == kind }), ", ")+".")
		fmt.Fprintf(s, "%s  %s: %s\n", indent, f.kindKey, kind)
		s.section(join(section, f.name), depth+1, fieldsOf(t), value.Elem().Elem())
	case f.isChain():
		s.comment(indent, doc+" There are "+strings.Join(kindsOf(f.typ.Elem()).names(), ", ")+".")
		fmt.Fprintf(s, "%s# %s: {%s: gaussian, noise_factor: 0.3}\n", indent, f.name, f.kindKey)
	case f.typ.Kind() == reflect.Struct:
		s.comment(indent, doc)
		fmt.Fprintf(s, "%s%s:\n", indent, f.name)
		s.section(join(section, f.name), depth+1, fieldsOf(f.typ), value)
	default:
		if f.typ.Kind() != reflect.String || f.enum != nil || f.pattern != nil {
			doc = strings.TrimSuffix(doc, ".") + ". Allowed: " + f.want() + "."
		}
		s.comment(indent, doc)
		text := strings.Trim(defaultText(f, value), "`")
		if text == "" || s.idle[join(section, f.name)] {
			indent += "# " // as if it were not written
		}
		s.WriteString(strings.TrimRight(fmt.Sprintf("%s%s: %s", indent, f.name, text), " ") + "\n")
	}
}

// comment writes text in lines that fit an editor.
func (s *starter) comment(indent, text string) {
	const width = 110
	line := indent + "#"
	for _, word := range strings.Fields(text) {
		if utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			s.WriteString(line + "\n")
			line = indent + "#"
		}
		line += " " + word
	}
	s.WriteString(line + "\n")
}
