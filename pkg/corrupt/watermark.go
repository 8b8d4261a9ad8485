package corrupt

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/random"
)

// Watermark blends a text or a picture into each image. The text, its position, size, angle, opacity and brightness are drawn for each
// image, so that a model learns to remove watermarks and not one fixed mask.
type Watermark struct {
	// Texts are the words to choose from, in the built-in font.
	Texts []string `yaml:"texts,flow" maxitems:"64"`

	// HeldOutTexts replace texts on validation and test images, so that figures tell how well the model removes watermarks it was not
	// trained on. Without them, all images use texts.
	HeldOutTexts []string `yaml:"held_out_texts,flow" maxitems:"64"`

	// Image is a PNG file to blend in instead of the texts, at most 16 MiB and 4 megapixels, usually with transparency. Grey images take
	// its luma.
	Image string `yaml:"image" path:"yes"`

	// Tiled repeats the watermark over the whole image, spaced by its shorter side. Otherwise it appears once, at a random position where
	// it fits.
	Tiled bool `yaml:"tiled"`

	// Scale is the watermark's longer side as a fraction of the image's width.
	Scale Range `yaml:"scale" min:"0.05" max:"2" strength:"yes"`

	// Rotation is the angle in degrees, counter-clockwise.
	Rotation Range `yaml:"rotation" min:"-180" max:"180" strength:"yes"`

	// Opacity is the weight of the watermark in a pixel that it covers fully.
	Opacity Range `yaml:"opacity" min:"0" max:"1" strength:"yes"`

	// Brightness is the brightness of texts on all channels, from -1 (black) to 1 (white). A picture keeps its own colours.
	Brightness Range `yaml:"brightness" min:"-1" max:"1" strength:"yes"`
}

// The order of a watermark's strengths, and of its draws.
const (
	markScale = iota
	markRotation
	markOpacity
	markBrightness
	markX
	markY
	markDraws
)

// Strengths returns scale, rotation, opacity and brightness.
func (c *Watermark) Strengths() []float32 {
	return Ends(c.Scale, c.Rotation, c.Opacity, c.Brightness)
}

// Pictorial says that vectors have nothing for it.
func (*Watermark) Pictorial() {}

// Caption returns for example "watermark 0.3…0.7", with the opacity.
func (c *Watermark) Caption() string { return "watermark " + c.Opacity.String() }

// Local says that pixels beside the watermark stay as they are.
func (*Watermark) Local() {}

// HeldOut returns the watermark with the held-out texts, if there are any.
func (c *Watermark) HeldOut() Corruption {
	other := *c
	if len(c.HeldOutTexts) > 0 {
		other.Texts = c.HeldOutTexts
	}
	return &other
}

// File returns the picture's file.
func (c *Watermark) File() (path string, data []byte, err error) {
	if c.Image == "" {
		return "", nil, nil
	}
	data, err = readStampFile(c.Image)
	return c.Image, data, err
}

// Check reads the picture, and reports texts that cannot be written or would not be held out.
func (c *Watermark) Check(report func(key, problem string)) {
	if c.Image != "" {
		if _, err := readStamp(c.Image); err != nil {
			report("image", err.Error())
		}
		if len(c.HeldOutTexts) > 0 {
			report("held_out_texts", "an image is used instead of texts; leave one of them out")
		}
		return
	}
	if len(c.Texts) == 0 {
		report("texts", "is empty; write words such as [draft, sample], or set image")
	}
	for i, text := range c.Texts {
		if problem := textProblem(text); problem != "" {
			report(fmt.Sprintf("texts.%d", i), problem)
		}
	}
	for i, text := range c.HeldOutTexts {
		same := func(other string) bool { return strings.EqualFold(text, other) }
		if slices.ContainsFunc(c.Texts, same) {
			report(fmt.Sprintf("held_out_texts.%d", i), fmt.Sprintf("%q is also in texts; remove it from one of the lists", text))
		} else if problem := textProblem(text); problem != "" {
			report(fmt.Sprintf("held_out_texts.%d", i), problem)
		}
	}
}

// Apply blends watermarks in: x + opacity · α (colour − x), with α the watermark's coverage of the pixel. x: [batch, height,
// width, channels].
//
// Each pixel looks up its place on the watermark: the inverse of the turned and scaled stamp, bilinear between the samples
// of a [sheet].
func (c *Watermark) Apply(x *Node, strengths []*Node, key random.Key) *Node {
	g, batch, height, width := x.Graph(), x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2)
	stamps, err := c.stamps()
	if err != nil {
		panic(fmt.Errorf("corrupt.watermark: %w", err))
	}
	sheet := newSheet(stamps, width, x.Shape().Dim(3))

	// What is drawn for each image: [batch, 1, 1].
	u := key.Child(0).Uniform(batch, markDraws)
	draw := func(i int) *Node { return Reshape(Slice(u, AxisRange(), AxisElem(i)), batch, 1, 1) }
	strength := func(i int) *Node { return Between(strengths, i, draw(i)) }
	long := MulScalar(strength(markScale), width) // the longer side, in pixels of the image
	angle := MulScalar(strength(markRotation), math.Pi/180)
	opacity := ExpandAxes(strength(markOpacity), -1)
	cos, sin := Cos(angle), Sin(angle)
	entry := sheet.entry(key.Child(1).Below(len(stamps), batch, 1, 1), long)
	w, h := Mul(long, entry.width), Mul(long, entry.height) // the stamp's sides, in pixels of the image

	// The pixels' places relative to the stamp's centre, (dx, dy) on the image and (p, q) along the stamp's sides. At first the
	// stamp's centre is the image's.
	dx := AddScalar(Iota(g, shapes.Make(dtypes.Float32, 1, 1, width), 2), 0.5-float64(width)/2)
	dy := AddScalar(Iota(g, shapes.Make(dtypes.Float32, 1, height, 1), 1), 0.5-float64(height)/2)
	if !c.Tiled {
		// The centre is anywhere where the stamp's box, turned, lies inside the image. Where the box is the larger, anywhere
		// where it covers the image.
		move := func(u *Node, side int, half *Node) *Node {
			return Mul(AddScalar(u, -0.5), AddScalar(MulScalar(half, -2), side))
		}
		dx = Sub(dx, move(draw(markX), width, MulScalar(Add(Mul(w, Abs(cos)), Mul(h, Abs(sin))), 0.5)))
		dy = Sub(dy, move(draw(markY), height, MulScalar(Add(Mul(w, Abs(sin)), Mul(h, Abs(cos))), 0.5)))
	}
	p, q := Sub(Mul(dx, cos), Mul(dy, sin)), Add(Mul(dx, sin), Mul(dy, cos)) // [batch, height, width]
	if c.Tiled {
		gap := Min(w, h)
		// repeat moves a place by a random part of a period, and then into the period about 0.
		repeat := func(place, u, period *Node) *Node {
			periods := Add(Div(place, period), u)
			return Mul(AddScalar(Sub(periods, Floor(periods)), -0.5), period)
		}
		p, q = repeat(p, draw(markX), Add(w, gap)), repeat(q, draw(markY), Add(h, gap))
	}

	planes := sheet.sample(entry, AddScalar(Div(p, w), 0.5), AddScalar(Div(q, h), 0.5))
	alpha := planes[0] // [batch, height, width, 1]
	if len(planes) == 1 {
		return Add(x, Mul(Mul(opacity, alpha), Sub(ExpandAxes(strength(markBrightness), -1), x)))
	}
	colour := Sub(MulScalar(Concatenate(planes[1:], -1), 2), alpha) // from [0, α] to [-1, 1] α
	return Add(x, Mul(opacity, Sub(colour, Mul(alpha, x))))
}

// stamps returns what a watermark is chosen from.
func (c *Watermark) stamps() ([]stamp, error) {
	if c.Image != "" {
		picture, err := readStamp(c.Image)
		return []stamp{picture}, err
	}
	var stamps []stamp
	for _, text := range c.Texts {
		drawn, err := writeStamp(text)
		if err != nil {
			return nil, err
		}
		stamps = append(stamps, drawn)
	}
	if len(stamps) == 0 {
		return nil, errors.New("no texts and no image")
	}
	return stamps, nil
}

// entries are the stamps that the images of a batch have been given, at the level that suits their size: [batch, 1, 1].
type entries struct {
	offset        *Node // int32: where the level begins in the sheet's planes
	columns, rows *Node // float32: the level's samples
	width, height *Node // float32: the stamp's sides, the longer one being 1
}

// entry finds the level of each image's stamp: the one with at least one, and less than two samples for each pixel of the
// image, so that bilinear interpolation neither blurs nor skips. Beyond the finest and the coarsest level it is those.
//
// chosen: int32, the number of the stamp; long: its longer side, in pixels of the image; both [batch, 1, 1].
func (s *sheet) entry(chosen, long *Node) entries {
	g := chosen.Graph()
	level := ZerosLike(chosen)
	for k := 1; k < s.levels; k++ {
		limit := Scalar(g, dtypes.Float32, float64(s.side)/float64(int(1)<<k))
		level = Add(level, ConvertDType(LessOrEqual(long, limit), dtypes.Int32))
	}
	index := Add(MulScalar(chosen, s.levels), level)
	table := tensors.FromFlatDataAndDimensions(s.index, len(s.index)/indexColumns, indexColumns)
	row := Gather(ConstTensor(g, table), Reshape(index, -1, 1)) // [batch, indexColumns]
	column := func(i int) *Node { return Reshape(Slice(row, AxisRange(), AxisElem(i)), -1, 1, 1) }
	number := func(i int) *Node { return ConvertDType(column(i), dtypes.Float32) }
	longest := Max(number(indexFullColumns), number(indexFullRows))
	return entries{
		offset: column(indexOffset), columns: number(indexLevelColumns), rows: number(indexLevelRows),
		width: Div(number(indexFullColumns), longest), height: Div(number(indexFullRows), longest),
	}
}

// sample returns each of the sheet's planes, in [0, 1], at places that are told in units of the stamp's sides, to the right
// and down from its upper left corner: [batch, height, width] → [batch, height, width, 1]. Outside the stamp is nothing, 0.
func (s *sheet) sample(e entries, right, down *Node) []*Node {
	g := right.Graph()
	// Cell i of an axis lies between the samples i-1 and i, of which the first, -1, and the last are empty.
	cell := func(place, samples *Node) (corner, fraction *Node) {
		at := AddScalar(Mul(place, samples), 0.5)
		at = Min(MaxScalar(at, 0), AddScalar(samples, 1))
		corner = Min(Floor(at), samples)
		return corner, Sub(at, corner)
	}
	column, fx := cell(right, e.columns)
	row, fy := cell(down, e.rows)
	index := Add(e.offset, ConvertDType(Add(Mul(row, AddScalar(e.columns, 1)), column), dtypes.Int32))
	index = ExpandAxes(index, -1)
	planes := make([]*Node, len(s.planes))
	for i, words := range s.planes {
		word := Gather(ConstTensor(g, tensors.FromFlatDataAndDimensions(words, len(words))), index)
		corner := func(k int) *Node {
			byte := BitwiseAnd(BitwiseShiftRightLogicalScalar(word, uint32(8*k)), Scalar(g, dtypes.Uint32, uint32(0xff)))
			return ConvertDType(ConvertDType(byte, dtypes.Int32), dtypes.Float32)
		}
		mix := func(a, b, fraction *Node) *Node { return Add(a, Mul(fraction, Sub(b, a))) }
		value := mix(mix(corner(0), corner(1), fx), mix(corner(2), corner(3), fx), fy)
		planes[i] = ExpandAxes(MulScalar(value, 1./255), -1)
	}
	return planes
}
