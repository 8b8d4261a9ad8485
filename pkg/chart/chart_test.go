package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
)

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		min, max float64
		log      bool
		want     string
	}{
		{0, 10, false, "0 2 4 6 8 10"},
		{0.031, 0.049, false, "0.03 0.035 0.04 0.045 0.05"},
		{-1, 1, false, "−1 −0.5 0 0.5 1"},
		{0.01, 1, true, "0.01 0.02 0.05 0.1 0.2 0.5 1"},
		{1e-5, 1, true, "1e−5 0.0001 0.001 0.01 0.1 1"},
		{1e-12, 1, true, "1e−12 1e−9 1e−6 0.001 1"},
		{5, 5, false, "4.6 4.8 5 5.2 5.4"},
		{-3, -3, true, "−3.2 −3.1 −3 −2.9 −2.8"},
	} {
		var got []string
		for _, tick := range NewAxis(Bounds{c.min, c.max, true}, c.log).Ticks(6) {
			got = append(got, tick.Text)
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("ticks from %g to %g are %s, want %s", c.min, c.max, text, c.want)
		}
	}
}

// Whatever the bounds, there are ticks, not too many of them, in order and on the axis.
func TestTicksOfAnyBounds(t *testing.T) {
	for _, ends := range [][2]float64{
		{0, 0}, {0, 5e-324}, {-1e308, 1e308}, {1e-300, 1e300}, {1e300, 1.0000001e300}, {1, math.Nextafter(1, 2)}, {3, 26}, {0.7, 7},
	} {
		for _, log := range []bool{false, true} {
			var b Bounds
			b.Include(ends[0])
			b.Include(ends[1])
			a := NewAxis(b, log)
			ticks := a.Ticks(6)
			if len(ticks) == 0 || len(ticks) > 12 {
				t.Errorf("%d ticks from %g to %g", len(ticks), ends[0], ends[1])
			}
			for i, tick := range ticks {
				if i > 0 && tick.Place < ticks[i-1].Place || tick.Place < -1e-9 || tick.Place > 1+1e-9 {
					t.Errorf("from %g to %g, tick %d is at %g", ends[0], ends[1], i, tick.Place)
				}
			}
		}
	}
}

const hostile = "\"></title><script>alert('1')</script>&\x00\x1b\xff\ufffe"

// wellFormed reads XML to its end, strictly.
func wellFormed(t *testing.T, text []byte) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(string(text)))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if element, ok := token.(xml.StartElement); ok && element.Name.Local == "script" {
			t.Error("the text of a chart became an element")
		}
	}
}

// A chart is well-formed as an element and as a file, whatever texts are in it.
func TestHostileText(t *testing.T) {
	s := Series{Class: "a", Name: hostile, Dotted: true}
	s.Add(1, 0.5)
	s.Add(2, math.NaN())
	s.Add(3, 0.25)
	c, ok := Lines(hostile, hostile, true, s)
	if !ok {
		t.Fatal("no chart")
	}
	c.Note = hostile
	wellFormed(t, []byte(c.Element()))
	wellFormed(t, c.File())
	if file := string(c.File()); strings.Contains(file, "var(") {
		t.Error("the file has variables, which only browsers know")
	}
}

// Two points of a curve are where the axes say: the plot is 490 wide from 58 on, and 236 high from 10 on; epoch 2 is the
// axis' end, and the values, 0 and 1, have margins of 6 % of it.
func TestLines(t *testing.T) {
	s := Series{Class: "a", Name: "loss"}
	s.Add(0, 0)
	s.Add(2, 1)
	c, _ := Lines("Loss", "epoch", false, s)
	low, high := 246-236*0.06/1.12, 246-236*1.06/1.12
	want := `points="58,` + strconv.FormatFloat(math.Round(low*10)/10, 'f', -1, 64) + " 548," + strconv.FormatFloat(math.Round(high*10)/10, 'f', -1, 64) + `"`
	if !strings.Contains(string(c.SVG), want) {
		t.Errorf("the curve is not %s in\n%s", want, c.SVG)
	}
	if want := "Loss; loss from 0 to 1"; c.Label != want {
		t.Errorf("label %q, want %q", c.Label, want)
	}
	if _, ok := Lines("Nothing", "epoch", false, Series{}); ok {
		t.Error("a chart of nothing")
	}
}

// Specks fall together where they would cover each other, and there is an end to them.
func TestSpecks(t *testing.T) {
	var c Canvas
	if left := c.Specks("speck", []Point{{1, 1}, {1.2, 0.9}, {7, 7}}); left != 0 || strings.Count(string(c.svg()), "M") != 2 {
		t.Errorf("%d left out of %s, want two places drawn", left, c.svg())
	}
	var many []Point
	for i := range 3 * mostSpecks {
		many = append(many, Point{float64(i), 0})
	}
	c = Canvas{}
	if left := c.Specks("speck", many); left != 2*mostSpecks || strings.Count(string(c.svg()), "M") != mostSpecks {
		t.Errorf("%d left out of %d", left, len(many))
	}
}

func TestShorten(t *testing.T) {
	for text, want := range map[string]string{"": "", "learning": "learning", "learning_rate": "lear…ate", "ünïcödeünïcöde": "ünïc…öde"} {
		if got := Shorten(text, 8); got != want {
			t.Errorf("Shorten(%q, 8) is %q, want %q", text, got, want)
		}
	}
}

// luminance is the relative luminance of an sRGB colour, by WCAG 2.1.
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	rgb, err := strconv.ParseUint(strings.TrimPrefix(colour, "#"), 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	linear := func(shift int) float64 {
		x := float64(rgb>>shift&255) / 255
		if x <= 0.04045 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(16) + 0.7152*linear(8) + 0.0722*linear(0)
}

// The shades go one way in lightness, so that they are in order for every eye and on a grey print: from dark on white paper,
// from bright on black. Text has the contrast that WCAG 2.1 asks for, 4.5.
func TestColours(t *testing.T) {
	byName := map[string][2]float64{}
	for _, c := range colours {
		byName[c.name] = [2]float64{luminance(t, c.light), luminance(t, c.dark)}
	}
	for i := 1; i < Shades; i++ {
		before, shade := byName["h"+strconv.Itoa(i-1)], byName["h"+strconv.Itoa(i)]
		if shade[0] <= before[0] || shade[1] >= before[1] {
			t.Errorf("shade %d is not between its neighbours in lightness", i)
		}
	}
	for _, name := range []string{"ink", "soft", "a", "b", "good", "bad"} {
		for mode := range 2 {
			paper, ink := byName["paper"][mode], byName[name][mode]
			if contrast := (max(paper, ink) + 0.05) / (min(paper, ink) + 0.05); contrast < 4.5 {
				t.Errorf("%s has a contrast of %.1f, want 4.5", name, contrast)
			}
		}
	}
	for rank, want := range map[float64]string{0: "h0", 0.5: "h4", 1: "h8"} {
		if got := Shade(rank); got != want {
			t.Errorf("rank %g has shade %s, want %s", rank, got, want)
		}
	}
}
