package chart

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// PNG draws the chart's own file, [Chart.File], for readers without SVG. A unit of the chart is scale pixels; 2 is sharp on most
// screens. It knows the elements that a [Canvas] draws and the style sheet of charts, and is no renderer of other SVG.
func (c Chart) PNG(scale float64) ([]byte, error) {
	drawn, err := rasterise(c.File(), scale)
	if err != nil {
		return nil, fmt.Errorf("draw chart %q: %w", c.Title, err)
	}
	var out bytes.Buffer
	if err := png.Encode(&out, drawn); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// maxPixels bounds a picture.
const maxPixels = 64 << 20

// raster is a picture that is drawn.
type raster struct {
	to     *image.RGBA
	scale  float64
	corner Point // of the view, in the chart's units
	rules  []rule
	faces  map[string]font.Face
}

func rasterise(svg []byte, scale float64) (*image.RGBA, error) {
	r := &raster{scale: scale, faces: map[string]font.Face{}}
	var text *shape // that the next characters belong to
	for decoder := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return r.to, nil
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			s := newShape(token)
			switch s.element {
			case "svg":
				if err := r.begin(s); err != nil {
					return nil, err
				}
			case "style", "text":
				text = s
			case "title", "desc": // are not seen
				text = nil
			default:
				if err := r.draw(s); err != nil {
					return nil, err
				}
			}
		case xml.CharData:
			switch {
			case text == nil:
			case text.element == "style":
				r.rules = parseStyle(string(token))
			default:
				if err := r.write(text, string(token)); err != nil {
					return nil, err
				}
			}
		case xml.EndElement:
			text = nil
		}
	}
}

// shape is an element with its attributes.
type shape struct {
	element    string
	attributes map[string]string
}

func newShape(e xml.StartElement) *shape {
	s := &shape{e.Name.Local, map[string]string{}}
	for _, a := range e.Attr {
		s.attributes[a.Name.Local] = a.Value
	}
	return s
}

// numbers returns those of an attribute, between spaces and commas.
func (s *shape) numbers(name string) []float64 {
	var list []float64
	for _, field := range strings.FieldsFunc(s.attributes[name], func(r rune) bool { return r == ' ' || r == ',' }) {
		x, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return nil
		}
		list = append(list, x)
	}
	return list
}

// number returns an attribute's only one, or 0.
func (s *shape) number(name string) float64 {
	if list := s.numbers(name); len(list) == 1 {
		return list[0]
	}
	return 0
}

// begin makes the picture, of the size of the view.
func (r *raster) begin(s *shape) error {
	view := s.numbers("viewBox")
	if len(view) != 4 {
		return fmt.Errorf("view box %q", s.attributes["viewBox"])
	}
	width, height := math.Ceil(view[2]*r.scale), math.Ceil(view[3]*r.scale)
	if !(width >= 1 && height >= 1 && width*height <= maxPixels) {
		return fmt.Errorf("%g by %g pixels, want 1 to %d in all", width, height, maxPixels)
	}
	r.corner = Point{view[0], view[1]}
	r.to = image.NewRGBA(image.Rect(0, 0, int(width), int(height)))
	draw.Draw(r.to, r.to.Bounds(), image.White, image.Point{}, draw.Src)
	return nil
}

// at is the place of a point in pixels.
func (r *raster) at(p Point) Point {
	return Point{(p.X - r.corner.X) * r.scale, (p.Y - r.corner.Y) * r.scale}
}

// draw draws all elements but text.
func (r *raster) draw(s *shape) error {
	style := r.style(s)
	switch s.element {
	case "line":
		r.stroke(style, []Point{{s.number("x1"), s.number("y1")}, {s.number("x2"), s.number("y2")}})
	case "polyline":
		r.stroke(style, pairs(s.numbers("points")))
	case "polygon":
		r.fill(style, pairs(s.numbers("points")))
	case "circle":
		center, radius := Point{s.number("cx"), s.number("cy")}, s.number("r")
		r.fill(style, circle(center, radius))
		r.stroke(style, circle(center, radius))
	case "rect":
		x, y, width, height := s.number("x"), s.number("y"), s.number("width"), s.number("height")
		corners := []Point{{x, y}, {x + width, y}, {x + width, y + height}, {x, y + height}, {x, y}}
		r.fill(style, corners)
		r.stroke(style, corners)
	case "path": // the places of specks: M x y h 0 …
		for _, place := range strings.Split(s.attributes["d"], "M")[1:] {
			xy := (&shape{attributes: map[string]string{"xy": strings.TrimSuffix(place, "h0")}}).numbers("xy")
			if len(xy) != 2 {
				return fmt.Errorf("path %q", place)
			}
			r.paint(style["stroke"], style, [][]Point{circle(Point{xy[0], xy[1]}, style.number("stroke-width", 1)/2)})
		}
	default:
		return fmt.Errorf("element %s", s.element)
	}
	return nil
}

func pairs(numbers []float64) []Point {
	var points []Point
	for i := 0; i+1 < len(numbers); i += 2 {
		points = append(points, Point{numbers[i], numbers[i+1]})
	}
	return points
}

// circle returns points around a center, the first once more at the end.
func circle(center Point, radius float64) []Point {
	const corners = 32
	points := make([]Point, corners+1)
	for i := range points {
		sin, cos := math.Sincos(2 * math.Pi * float64(i%corners) / corners)
		points[i] = Point{center.X + radius*cos, center.Y + radius*sin}
	}
	return points
}

// fill paints what the points are around.
func (r *raster) fill(style style, points []Point) {
	fill, found := style["fill"]
	if !found {
		fill = "#000000"
	}
	r.paint(fill, style, [][]Point{points})
}

// stroke paints along points, with round ends and joints, all of it at once: where pieces overlap, it is not darker.
func (r *raster) stroke(style style, points []Point) {
	half := style.number("stroke-width", 1) / 2
	var pieces [][]Point
	for _, part := range dashes(points, style.numbers("stroke-dasharray")) {
		for i, p := range part {
			if len(part) > 2 || i == 0 { // a straight line needs no joints; a dot is one
				pieces = append(pieces, circle(p, half))
			}
			if i == 0 {
				continue
			}
			from, length := part[i-1], math.Hypot(p.X-part[i-1].X, p.Y-part[i-1].Y)
			if length == 0 {
				continue
			}
			across := Point{(p.Y - from.Y) / length * half, -(p.X - from.X) / length * half}
			pieces = append(pieces, []Point{
				{from.X + across.X, from.Y + across.Y}, {p.X + across.X, p.Y + across.Y},
				{p.X - across.X, p.Y - across.Y}, {from.X - across.X, from.Y - across.Y},
			})
		}
	}
	r.paint(style["stroke"], style, pieces)
}

// dashes cuts points into the parts that are drawn: lengths drawn and left out in turns; all without lengths.
func dashes(points []Point, lengths []float64) [][]Point {
	if len(lengths) < 2 || lengths[0] <= 0 || lengths[1] <= 0 || len(points) == 0 {
		return [][]Point{points}
	}
	var parts [][]Point
	part, on, left := []Point{points[0]}, true, lengths[0]
	for i := 1; i < len(points); i++ {
		from, to := points[i-1], points[i]
		length := math.Hypot(to.X-from.X, to.Y-from.Y)
		done := 0.0
		for ; length-done > left; on = !on {
			done += left
			cut := Point{from.X + (to.X-from.X)*done/length, from.Y + (to.Y-from.Y)*done/length}
			if on {
				parts, left = append(parts, append(part, cut)), lengths[1]
			} else {
				part, left = []Point{cut}, lengths[0]
			}
		}
		left -= length - done
		if on {
			part = append(part, to)
		}
	}
	if on {
		parts = append(parts, part)
	}
	return parts
}

// paint fills outlines, all in one direction, with a colour of the style.
func (r *raster) paint(name string, style style, outlines [][]Point) {
	if name == "currentColor" {
		name = style["color"]
	}
	paint, ok := parseColour(name)
	if !ok {
		return // none
	}
	paint.A = uint8(math.Round(255 * style.number("opacity", 1)))
	bounds := r.bounds(outlines)
	v := vector.NewRasterizer(bounds.Dx(), bounds.Dy())
	for _, outline := range outlines {
		for i, p := range outline {
			at := r.at(p)
			x, y := float32(at.X-float64(bounds.Min.X)), float32(at.Y-float64(bounds.Min.Y))
			if i == 0 {
				v.MoveTo(x, y)
			} else {
				v.LineTo(x, y)
			}
		}
		v.ClosePath()
	}
	v.Draw(r.to, bounds, image.NewUniform(paint), image.Point{})
}

// bounds are the pixels of the picture that outlines touch.
func (r *raster) bounds(outlines [][]Point) image.Rectangle {
	var all image.Rectangle
	for _, outline := range outlines {
		for _, p := range outline {
			at := r.at(p)
			x, y := int(math.Floor(at.X)), int(math.Floor(at.Y))
			all = all.Union(image.Rect(x, y, x+2, y+2))
		}
	}
	return all.Intersect(r.to.Bounds())
}

// write writes a text element.
func (r *raster) write(s *shape, text string) error {
	style := r.style(s)
	face, err := r.face(style)
	if err != nil {
		return err
	}
	at := r.at(Point{s.number("x"), s.number("y")})
	width := float64(font.MeasureString(face, text)) / 64
	switch s.attributes["text-anchor"] {
	case Middle:
		at.X -= width / 2
	case End:
		at.X -= width
	}
	write := func(name string, dx, dy float64) {
		if paint, ok := parseColour(name); ok {
			d := font.Drawer{Dst: r.to, Src: image.NewUniform(paint), Face: face, Dot: fixed.Point26_6{X: fixed.Int26_6((at.X + dx) * 64), Y: fixed.Int26_6((at.Y + dy) * 64)}}
			d.DrawString(text)
		}
	}
	if width := style.number("stroke-width", 0) / 2 * r.scale; style["stroke"] != "" {
		for _, around := range circle(Point{}, width) {
			write(style["stroke"], around.X, around.Y)
		}
	}
	write(style["fill"], 0, 0)
	return nil
}

var fonts = sync.OnceValues(func() (list [2]*opentype.Font, err error) {
	regular, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return list, err
	}
	bold, err := opentype.Parse(gobold.TTF)
	return [2]*opentype.Font{regular, bold}, err
})

// face is the font of a style.
func (r *raster) face(style style) (font.Face, error) {
	key := style["font-size"] + " " + style["font-weight"]
	if face := r.faces[key]; face != nil {
		return face, nil
	}
	parsed, err := fonts()
	if err != nil {
		return nil, err
	}
	chosen := parsed[0]
	if style.number("font-weight", 400) >= 600 {
		chosen = parsed[1]
	}
	// With 72 dots an inch, a point is a pixel.
	face, err := opentype.NewFace(chosen, &opentype.FaceOptions{Size: style.number("font-size", 12) * r.scale, DPI: 72, Hinting: font.HintingNone})
	if err != nil {
		return nil, err
	}
	r.faces[key] = face
	return face, nil
}

// rule is one of a style sheet: what elements with all of the classes look like.
type rule struct {
	classes []string
	style   style
}

// style is properties and their values.
type style map[string]string

func (s style) numbers(name string) []float64 {
	return (&shape{attributes: s}).numbers(name)
}

// number returns a property's, without its unit.
func (s style) number(name string, otherwise float64) float64 {
	x, err := strconv.ParseFloat(strings.TrimSuffix(s[name], "px"), 64)
	if err != nil {
		return otherwise
	}
	return x
}

// parseStyle reads the rules of a style sheet whose selectors are classes: .a.b { … }. Others are passed over.
func parseStyle(sheet string) []rule {
	var rules []rule
	for _, text := range strings.Split(sheet, "}") {
		selector, body, _ := strings.Cut(text, "{")
		classes := strings.Split(strings.TrimSpace(selector), ".")
		if classes[0] != "" {
			continue
		}
		properties := style{}
		for _, line := range strings.Split(body, ";") {
			name, value, found := strings.Cut(line, ":")
			if found {
				properties[strings.TrimSpace(name)] = strings.TrimSpace(value)
			}
		}
		rules = append(rules, rule{classes[1:], properties})
	}
	return rules
}

// style is what the rules say of an element: those of more classes before those of fewer, later ones before earlier.
func (r *raster) style(s *shape) style {
	has := map[string]bool{}
	for _, class := range strings.Fields(s.attributes["class"]) {
		has[class] = true
	}
	found, depth := style{}, map[string]int{}
	for _, rule := range r.rules {
		applies := true
		for _, class := range rule.classes {
			applies = applies && has[class]
		}
		if !applies {
			continue
		}
		for name, value := range rule.style {
			if len(rule.classes) >= depth[name] {
				found[name], depth[name] = value, len(rule.classes)
			}
		}
	}
	return found
}

// parseColour reads #rrggbb.
func parseColour(text string) (color.NRGBA, bool) {
	digits, found := strings.CutPrefix(text, "#")
	value, err := strconv.ParseUint(digits, 16, 32)
	if !found || err != nil || len(digits) != 6 {
		return color.NRGBA{}, false
	}
	return color.NRGBA{uint8(value >> 16), uint8(value >> 8), uint8(value), 255}, true
}
