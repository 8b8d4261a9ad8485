package corrupt

import (
	"fmt"
	"reflect"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/random"
)

// Chain is a list of corruptions, applied in order. The empty chain leaves images as they are.
type Chain []Corruption

// Strengths returns those of all corruptions, in order.
func (c Chain) Strengths() []float32 {
	var all []float32
	for _, corruption := range c {
		all = append(all, corruption.Strengths()...)
	}
	return all
}

// Structure tells what a program is compiled for: the kinds in order, with the fields that are no strengths. Two chains of
// one structure can be run by one program.
func (c Chain) Structure() string {
	var text strings.Builder
	for _, corruption := range c {
		value := reflect.ValueOf(corruption).Elem()
		fmt.Fprint(&text, value.Type(), "{")
		for i := range value.NumField() {
			if field := value.Type().Field(i); field.Tag.Get("strength") == "" {
				fmt.Fprintf(&text, " %s:%v", field.Name, value.Field(i))
			}
		}
		text.WriteString(" } ")
	}
	return text.String()
}

// Apply damages x by every corruption in turn, each with draws of its own.
//
// x: [batch, height, width, channels]; strengths: scalars, as many as Strengths returns.
func (c Chain) Apply(x *Node, strengths []*Node, key random.Key) *Node {
	for i, corruption := range c {
		n := len(corruption.Strengths())
		x = corruption.Apply(x, strengths[:n], key.Child(i))
		strengths = strengths[n:]
	}
	return x
}

// Caption joins those of all corruptions; that of the empty chain is "none".
func (c Chain) Caption() string {
	if len(c) == 0 {
		return "none"
	}
	captions := make([]string, len(c))
	for i, corruption := range c {
		captions[i] = corruption.Caption()
	}
	return strings.Join(captions, ", ")
}

// Identity says that the chain leaves every image as it is.
func (c Chain) Identity() bool {
	for _, corruption := range c {
		if _, none := corruption.(*None); !none {
			return false
		}
	}
	return true
}
