package config

import (
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/corrupt"
	"latent/pkg/random"
)

// streaks is what kinds of this test share.
type streaks struct{}

func (streaks) Strengths() []float32                         { return nil }
func (streaks) Apply(x *Node, _ []*Node, _ random.Key) *Node { return x }
func (streaks) Caption() string                              { return "streaks" }

// adding adds a kind, takes it away again, and returns what it panicked with.
func adding(name string, kind func() corrupt.Corruption) (problem string) {
	kinds := maps.Clone(corrupt.Kinds)
	defer func() {
		maps.DeleteFunc(corrupt.Kinds, func(name string, _ func() corrupt.Corruption) bool { return kinds[name] == nil })
		if recovered := recover(); recovered != nil {
			problem = fmt.Sprint(recovered)
		}
	}()
	AddKind(corrupt.Kinds, name, kind)
	return ""
}

type good struct {
	streaks
	_ struct{} `doc:"draws streaks"`

	Count int           `yaml:"count" min:"1" max:"9" doc:"how many"`
	Level corrupt.Range `yaml:"level" min:"0" max:"1" strength:"yes"`
	Where string        `yaml:"where" enum:"top,bottom"`
}

// A kind that was added is read, written back, suggested and described like Latent's own.
func TestAddKind(t *testing.T) {
	kind := func() corrupt.Corruption { return &good{Count: 3, Level: corrupt.Fixed(0.5), Where: "top"} }
	AddKind(corrupt.Kinds, "streaks", kind)
	defer delete(corrupt.Kinds, "streaks")

	e, err := Parse("a.yaml", []byte("corrupt: {kind: streaks, level: [0, 1]}"), "corrupt.count=4")
	if err != nil {
		t.Fatal(err)
	}
	want := &good{Count: 4, Level: corrupt.Range{0, 1}, Where: "top"}
	if got := e.Corrupt[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	text, err := e.YAML()
	if err != nil || !strings.Contains(string(text), "kind: streaks") {
		t.Errorf("written back as %s, error %v", text, err)
	}
	for _, word := range []string{`"draws streaks"`, `"how many"`, `"streaks"`} {
		if !strings.Contains(string(Schema()), word) {
			t.Errorf("%s is not in the schema", word)
		}
	}
	for text, want := range map[string]string{
		"corrupt: {kind: streks}":                     "did you mean streaks?",
		"corrupt: {kind: streaks, count: 12}":         "found 12, want a whole number from 1 to 9",
		"corrupt: {kind: gaussian, where: top}":       "not a key of kind gaussian, but of streaks",
		"corrupt: {kind: streaks, noise_factor: 0.3}": "not a key of kind streaks, but of coarse-noise, gaussian",
	} {
		if _, err := Parse("a.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", text, err, want)
		}
	}
}

// Each mistake of an author is told where the kind is added, with the field and the tag.
func TestAddKindMistakes(t *testing.T) {
	type (
		untagged struct {
			streaks
			Count int
		}
		twice struct {
			streaks
			A int `yaml:"a"`
			B int `yaml:"a"`
		}
		chooser struct {
			streaks
			Kind string `yaml:"kind"`
		}
		bound struct {
			streaks
			Count int `yaml:"count" min:"one"`
		}
		misspelt struct {
			streaks
			Count int `yaml:"count" mn:"1"`
		}
		expression struct {
			streaks
			Text string `yaml:"text" pattern:"["`
		}
		strong struct {
			streaks
			Count int `yaml:"count" strength:"true"`
		}
		unheld struct {
			streaks
			Of map[string]int `yaml:"of"`
		}
		checked struct {
			streaksWithCheck
			Count int `yaml:"count"`
		}
	)
	of := func(value corrupt.Corruption) func() corrupt.Corruption {
		return func() corrupt.Corruption { return value }
	}
	for _, c := range []struct {
		name string
		kind func() corrupt.Corruption
		want string
	}{
		{"gaussian", of(&good{}), `"gaussian": the name is taken`},
		{"My kind", of(&good{}), `"My kind": want a name of small letters`},
		{"a", nil, `"a": the function that makes it is nil`},
		{"a", of(nil), "it makes a <nil>, want a pointer to a struct"},
		{"a", of((*good)(nil)), "it makes a *config.good, want a pointer to a struct"},
		{"a", of(good{}), "it makes a config.good, want a pointer to a struct"},
		{"a", corrupt.Kinds["blur"], "it makes a *corrupt.Blur, as blur does"},
		{"a", of(&good{Count: 0, Where: "top"}), "config.good.Count: its default is not allowed: found 0, want a whole number from 1 to 9"},
		{"a", of(&good{Count: 1, Where: "left"}), `config.good.Where: its default is not allowed: found "left", want one of top, bottom`},
		{"a", of(&untagged{}), "untagged.Count: it has no tag yaml"},
		{"a", of(&hidden{}), "hidden.count: it has a tag yaml and is not exported"},
		{"a", of(&twice{}), "twice.B: its key a is that of A"},
		{"a", of(&chooser{}), "chooser.Kind: its key kind is that of what chooses the kind"},
		{"a", of(&bound{}), `bound.Count: tag min:"one" is not a number`},
		{"a", of(&misspelt{}), "misspelt.Count: tag mn is not read; did you mean min?"},
		{"a", of(&expression{}), `expression.Text: tag pattern:"[": error parsing regexp`},
		{"a", of(&strong{}), `strong.Count: tag strength:"true"; want "yes"`},
		{"a", of(&unheld{}), "unheld.Of: a config cannot hold a map[string]int"},
		{"a", of(&checked{}), "the method Check of *config.checked is not func(report"},
	} {
		if got := adding(c.name, c.kind); !strings.HasPrefix(got, "config.AddKind ") || !strings.Contains(got, c.want) {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// Go's reflection passes over a tag with a space in it, and what comes after.
func TestSpacedTag(t *testing.T) {
	got := tagMistake(reflect.StructField{Tag: `yaml:"count" min: "1"`})
	if want := "its tags cannot be read from ` min: \"1\"` on"; !strings.Contains(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

type streaksWithCheck struct{ streaks }

func (streaksWithCheck) Check() error { return nil }

// hidden has a key that nobody can set.
type hidden struct {
	streaks
	count int `yaml:"count"`
}

// Caption reads the key.
func (h *hidden) Caption() string { return fmt.Sprint(h.count) }

// Latent's own kinds have none of these mistakes.
func TestKindsWithoutMistakes(t *testing.T) {
	for of, tableNow := range kindTables {
		for name, kind := range tableNow() {
			others := tableNow()
			delete(others, name)
			if mistake := others.mistake(kind()); mistake != "" {
				t.Errorf("%v, %s: %s", of, name, mistake)
			}
		}
	}
}
