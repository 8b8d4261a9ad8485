// Package corrupt damages clean images, as graph functions.
//
// A [Corruption] is a value with a few documented fields, the same fields that
// a config names under `corrupt:`. A [Chain] applies several in order:
//
//	chain := corrupt.Chain{&corrupt.Blur{Sigma: corrupt.Fixed(1)}, &corrupt.Gaussian{NoiseFactor: corrupt.Range{0.1, 0.6}}}
//	damaged := chain.Apply(x, strengths, draw) // in a graph; x: [batch, height, width, channels]
//
// Every random number comes from the [random.Key] that the caller hands in, so
// that the same (seed, step) damages a batch in the same way on every backend.
// testdata/corruptions.png shows all kinds.
//
// What is not here: reading images (pkg/dataset) and learning to undo the
// damage (pkg/model, pkg/train).
package corrupt

import (
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/random"
)

// Corruption is one kind of damage. A chain calls Strengths once on the host,
// and Apply where the graph is built.
type Corruption interface {
	// Strengths lists the numbers that enter the compiled program as inputs, so
	// that another value compiles nothing anew. May be empty. The fields that it
	// reads carry the tag strength:"yes"; see [Chain.Structure].
	Strengths() []float32

	// Apply damages x.
	//
	//   - x: [batch, height, width, channels], float, pixels in [-1, 1]
	//   - strengths: scalars, as many as Strengths returns, in its order
	//   - key: the source of every draw. Each draw has the batch as its first axis, so that a batch split over devices
	//     is damaged as the whole one; see [random.Key.From]
	//
	// It returns the shape of x.
	Apply(x *Node, strengths []*Node, key random.Key) *Node

	// Caption describes the damage in a few words, for pictures and tables:
	// "gaussian 0.3".
	Caption() string
}

// Local is a corruption that changes some pixels and leaves the others as they are, so that a loss or a figure may be taken of
// those alone. [Chain.Local] asks for it.
type Local interface{ Local() }

// Masked is a [Local] corruption that tells the pixels by itself, for they may become what they were: black and white pictures do not
// show them. [Chain.Mask] calls it.
type Masked interface {
	// Mask returns 1 for each pixel that Apply with this key changes or would, and 0 for the others: [batch, height, width, 1].
	Mask(x *Node, strengths []*Node, key random.Key) *Node
}

// TrainingOnly is a corruption that hides what training is to learn, and is no damage to be taken away: held-out images are given without
// it; see [Chain.HeldOut].
type TrainingOnly interface{ TrainingOnly() }

// HeldOut is a corruption that keeps some of its variation from training, such as the words of some watermarks.
// [Chain.HeldOut] calls it.
type HeldOut interface {
	// HeldOut returns the corruption for held-out images, with the same strengths.
	HeldOut() Corruption
}

// Ended is a corruption that knows the ends of the model's scale, -1 and 1. [Chain.In] asks for it.
type Ended interface {
	// Open returns the corruption for a scale without ends, such as that of standardised values, with the same strengths.
	Open() Corruption
}

// Collective is a corruption that takes values from other samples of the batch, so that devices cannot share one, and held-out samples
// are damaged by all of those of a block; see [Chain.Collective].
type Collective interface{ Collective() }

// Pictorial is a corruption of pictures alone: it makes no sense of a vector.
type Pictorial interface{ Pictorial() }

// FromFile is a corruption that may read a file. [Chain.Checksums] calls it.
type FromFile interface {
	// File returns the file's path and contents; "" where there is none.
	File() (path string, data []byte, err error)
}

// Kinds holds every corruption that a config can name, with its defaults. A program adds its own by config.AddKind.
var Kinds = map[string]func() Corruption{
	"none":            func() Corruption { return &None{} },
	"gaussian":        func() Corruption { return &Gaussian{NoiseFactor: Fixed(0.3), Clip: true} },
	"coarse-noise":    func() Corruption { return &CoarseNoise{NoiseFactor: Fixed(0.4), Grain: 16, Clip: true} },
	"salt-and-pepper": func() Corruption { return &SaltAndPepper{Amount: Fixed(0.1), Salt: 0.5} },
	"swap":            func() Corruption { return &Swap{Probability: Fixed(0.15)} },
	"blind-spot":      func() Corruption { return &BlindSpot{Spacing: 8, Radius: 5} },
	"masking":         func() Corruption { return &Masking{Probability: Fixed(0.5), Patch: 1, Value: -1} },
	"erase":           func() Corruption { return &Erase{Count: 1, Side: Range{0.3, 0.5}, Value: -1} },
	"blur":            func() Corruption { return &Blur{Sigma: Fixed(1)} },
	"downscale":       func() Corruption { return &Downscale{Factor: 2, Upscale: "bilinear"} },
	"quantise":        func() Corruption { return &Quantise{Levels: 4} },
	"watermark": func() Corruption {
		return &Watermark{
			Texts: []string{"sample", "draft", "copy", "proof"},
			Scale: Range{0.6, 1}, Rotation: Range{-45, 45}, Opacity: Range{0.5, 1}, Brightness: Range{0, 1},
		}
	},
}
