package main

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/corrupt"
	"latent/pkg/random"
)

// Scratches draws straight lines across each image, as on worn film: each through a random place, at a random angle.
type Scratches struct {
	_ struct{} `doc:"draws straight lines across each image"`

	Count      int           `yaml:"count" min:"1" max:"16" doc:"the number of lines"`
	Width      corrupt.Range `yaml:"width" min:"0" max:"100" strength:"yes" doc:"the width of a line in pixels, drawn for each"`
	Brightness corrupt.Range `yaml:"brightness" min:"-1" max:"1" strength:"yes" doc:"that of all lines of an image, from -1, black, to 1, white"`
}

// Strengths returns width and brightness.
func (c *Scratches) Strengths() []float32 { return corrupt.Ends(c.Width, c.Brightness) }

// Caption returns for example "3 scratches".
func (c *Scratches) Caption() string { return fmt.Sprintf("%d scratches", c.Count) }

// Local says that pixels beside the lines stay as they are.
func (*Scratches) Local() {}

// Apply blends the lines in, one after another: x + α (brightness − x), with α the part of the pixel that a line covers, by
// the distance d of its middle from the line's: α = clamp(width/2 + ½ − d, 0, 1). x: [batch, height, width, channels].
func (c *Scratches) Apply(x *Node, strengths []*Node, key random.Key) *Node {
	g, batch, height, width := x.Graph(), x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2)
	row := Iota(g, shapes.Make(dtypes.Float32, 1, height, 1, 1), 1)
	column := Iota(g, shapes.Make(dtypes.Float32, 1, 1, width, 1), 2)
	brightness := corrupt.Between(strengths, 1, key.Child(0).Uniform(batch, 1, 1, 1))

	u := key.Child(1).Uniform(batch, c.Count, 4)
	for line := range c.Count {
		draw := func(i int) *Node { return Reshape(Slice(u, AxisRange(), AxisElem(line), AxisElem(i)), batch, 1, 1, 1) }
		angle := MulScalar(draw(0), math.Pi)
		down, right := Sub(row, MulScalar(draw(1), height)), Sub(column, MulScalar(draw(2), width)) // from a place on the line
		distance := Abs(Sub(Mul(down, Cos(angle)), Mul(right, Sin(angle))))                         // [batch, height, width, 1]
		reach := AddScalar(MulScalar(corrupt.Between(strengths, 0, draw(3)), 0.5), 0.5)
		covered := ClipScalar(Sub(reach, distance), 0, 1)
		x = Add(x, Mul(covered, Sub(brightness, x)))
	}
	return x
}
