package corrupt

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/random"
	"latent/pkg/scale"
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
				fmt.Fprintf(&text, " %s:%#v", field.Name, value.Field(i))
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

// In returns the chain for values of a scale. Where that is open, nothing is kept within its ends, and the ends that values are set
// to lie at three.
func (c Chain) In(s scale.Scale) Chain {
	if !s.Open {
		return c
	}
	other := slices.Clone(c)
	for i, corruption := range c {
		if ended, ok := corruption.(Ended); ok {
			other[i] = ended.Open()
		}
	}
	return other
}

// Collective says that a corruption of the chain takes values from other samples of a batch.
func (c Chain) Collective() bool {
	return slices.ContainsFunc(c, func(corruption Corruption) bool {
		_, collective := corruption.(Collective)
		return collective
	})
}

// HeldOut returns the chain for held-out images: with the variation that a corruption keeps from training, such as other
// words of a watermark, and without what is [TrainingOnly].
func (c Chain) HeldOut() Chain {
	other := slices.Clone(c)
	for i, corruption := range c {
		if _, training := corruption.(TrainingOnly); training {
			other[i] = &None{} // so that the others keep their draws
		}
		if varied, ok := corruption.(HeldOut); ok {
			other[i] = varied.HeldOut()
		}
	}
	return other
}

// TrainingOnly says that a corruption of the chain is.
func (c Chain) TrainingOnly() bool {
	return slices.ContainsFunc(c, func(corruption Corruption) bool {
		_, training := corruption.(TrainingOnly)
		return training
	})
}

// Local says that each corruption of the chain changes some pixels and leaves the others as they are; see [Chain.Mask].
func (c Chain) Local() bool {
	for _, corruption := range c {
		_, none := corruption.(*None)
		if _, ok := corruption.(Local); !ok && !none {
			return false
		}
	}
	return !c.Identity()
}

// Mask returns 1 for each pixel that Apply with these strengths and this key changes in some image, by half a byte's step
// or more, and 0 for the others: [batch, height, width, 1]. Only the shape of x counts.
//
// A corruption that is [Masked] says itself where. Of the others together, it is where black becomes other than black or white other
// than white: a corruption that is [Chain.Local] sets a pixel, or blends it with something, and cannot have both as they were.
func (c Chain) Mask(x *Node, strengths []*Node, key random.Key) *Node {
	others := slices.Clone(c)
	var left []*Node // strengths of the others
	var masks []*Node
	for i, corruption := range c {
		n := len(corruption.Strengths())
		if masked, ok := corruption.(Masked); ok {
			masks = append(masks, masked.Mask(x, strengths[:n], key.Child(i)))
			others[i] = &None{} // so that the others keep their draws
		} else {
			left = append(left, strengths[:n]...)
		}
		strengths = strengths[n:]
	}
	if len(masks) == 0 || !others.Identity() {
		masks = append(masks, others.changes(x, left, key))
	}
	mask := masks[0]
	for _, other := range masks[1:] {
		mask = Max(mask, other)
	}
	return mask
}

// changes is Mask by what becomes of black and of white.
func (c Chain) changes(x *Node, strengths []*Node, key random.Key) *Node {
	changed := ZerosLike(x)
	for _, grey := range []float64{-1, 1} {
		image := AddScalar(ZerosLike(x), grey)
		changed = Max(changed, Abs(Sub(c.Apply(image, strengths, key), image)))
	}
	const halfStep = 1. / 255 // a byte's step is 2/255
	return ConvertDType(GreaterOrEqual(ReduceAndKeep(changed, ReduceMax, 3), Scalar(x.Graph(), x.DType(), halfStep)), x.DType())
}

// Checksums returns the SHA-256 sums of the files that the chain reads, in hexadecimal digits, by their paths; nil where it reads
// none.
func (c Chain) Checksums() (map[string]string, error) {
	var sums map[string]string
	for _, corruption := range c {
		reader, ok := corruption.(FromFile)
		if !ok {
			continue
		}
		path, data, err := reader.File()
		if err != nil {
			return nil, err
		}
		if path == "" {
			continue
		}
		if sums == nil {
			sums = map[string]string{}
		}
		sum := sha256.Sum256(data)
		sums[path] = hex.EncodeToString(sum[:])
	}
	return sums, nil
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
