package model

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Term is a part of what training minimises.
type Term struct {
	// Name is that of its figure: "kl".
	Name string
	// Value is the part for each image, [batch], without its weight.
	Value *Node
	// Weight is a scalar that multiplies Value in the sum; nil is 1.
	Weight *Node
}

// Objective is a model with a loss of its own, in the place of the config's train.loss.
type Objective interface {
	Model

	// Objective applies the model to a damaged batch, and returns the terms whose weighted sum training minimises.
	//
	// clean, damaged: [batch, height, width, channels], pixels in [-1, 1]
	Objective(p *Pass, clean, damaged *Node) (Output, []Term)
}

// reconstruction is the term that every model has.
const reconstruction = "reconstruction"

// Learn applies a model to a damaged batch, and returns the terms of its own objective or, where it has none, the loss; its penalties;
// and what the loss compares beside.
//
// clean, damaged: [batch, height, width, channels]; mask: see [Loss.PerImage]; strengths: the loss's, scalars
func Learn(m Model, p *Pass, loss Loss, strengths []*Node, clean, damaged, mask *Node) (Output, []Term) {
	out, terms := learn(m, p, loss, strengths, clean, damaged, mask)
	if loss.Perceptual != nil {
		terms = append(terms, loss.Perceptual.term(clean, ConvertDType(out.Image, clean.DType()), strengths[len(strengths)-1]))
	}
	return out, terms
}

func learn(m Model, p *Pass, loss Loss, strengths []*Node, clean, damaged, mask *Node) (Output, []Term) {
	if objective, ok := m.(Objective); ok {
		out, terms := objective.Objective(p, clean, damaged)
		return out, append(terms, out.Penalties...)
	}
	if p.Precision != dtypes.InvalidDType {
		damaged = ConvertDType(damaged, p.Precision)
	}
	out := m.Apply(p, damaged).in(clean.DType())
	return out, append([]Term{{Name: reconstruction, Value: loss.PerImage(clean, out, mask, strengths)}}, out.Penalties...)
}

// in converts what a model made to another precision.
func (o Output) in(dtype dtypes.DType) Output {
	o.Latent, o.Logits, o.Image = ConvertDType(o.Latent, dtype), ConvertDType(o.Logits, dtype), ConvertDType(o.Image, dtype)
	o.Penalties = slices.Clone(o.Penalties)
	for i, term := range o.Penalties {
		o.Penalties[i].Value = ConvertDType(term.Value, dtype)
	}
	return o
}

// Sum is the weighted sum of the terms: [batch].
func Sum(terms []Term) *Node {
	var sum *Node
	for _, term := range terms {
		value := term.Value
		if term.Weight != nil {
			value = Mul(value, term.Weight)
		}
		if sum == nil {
			sum = value
		} else {
			sum = Add(sum, value)
		}
	}
	return sum
}

// Structure tells what a program is compiled for: the model's kind with the fields that are no inputs of the program.
func Structure(m Model) string {
	var text strings.Builder
	write(&text, reflect.ValueOf(m).Elem())
	return text.String()
}

// write writes the type of a struct and its fields, with those of the structs embedded in it.
func write(text *strings.Builder, value reflect.Value) {
	fmt.Fprint(text, value.Type(), "{")
	for i := range value.NumField() {
		switch field := value.Type().Field(i); {
		case field.Anonymous:
			text.WriteByte(' ')
			write(text, value.Field(i))
		case field.Type.Kind() == reflect.Interface && !value.Field(i).IsNil():
			fmt.Fprintf(text, " %s:", field.Name)
			write(text, value.Field(i).Elem().Elem()) // a part: see Backbone
		case field.Tag.Get("strength") == "":
			fmt.Fprintf(text, " %s:%+v", field.Name, value.Field(i))
		}
	}
	text.WriteString(" }")
}
