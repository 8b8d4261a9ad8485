package dataset

import (
	"math"
	"testing"
)

// TestShapesGolden holds the promise of the same images on every machine.
func TestShapesGolden(t *testing.T) {
	for colour, want := range map[string]string{"grey": "de3234eabfa5d9357ebee02b3092cbf2c41285a8b85da56c0049896caf2b0008", "rgb": "b0acb2968a5bec727de6aba3d154001532a896b7ecee388abcec120ebdafd2e4"} {
		split, err := (&Shapes{Train: 200, Test: 20, Side: 24, Colour: colour}).Load(t.Context(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := split.Checksums["train"]; got != want {
			t.Errorf("%s: SHA-256 %s, want %s", colour, got, want)
		}
	}
}

// Factors say where a shape lies, how large it is, and which; every value of each comes.
func TestShapeFactors(t *testing.T) {
	d := &Shapes{Train: 10, Test: 600, Side: 40, Colour: "rgb"}
	split, err := d.Load(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	factors := split.Factors
	if factors.Len() != d.Test {
		t.Fatalf("factors of %d samples, want %d", factors.Len(), d.Test)
	}
	area := map[[2]int]float64{} // by shape and size
	for i := range factors.Len() {
		pixels := split.Test.At(i).Uint8
		sum, x, y := 0.0, 0.0, 0.0
		for place := range d.Side * d.Side {
			ink := float64(max(pixels[3*place], pixels[3*place+1], pixels[3*place+2])) / 255
			sum += ink
			x += ink * (float64(place%d.Side) + 0.5)
			y += ink * (float64(place/d.Side) + 0.5)
		}
		if int(split.Test.Labels[i]) != factors.At(i, 0) {
			t.Fatalf("image %d: label %d, and the factor shape is %d", i, split.Test.Labels[i], factors.At(i, 0))
		}
		area[[2]int{factors.At(i, 0), factors.At(i, 1)}] = sum
		if factors.At(i, 0) == 2 { // a triangle's middle of mass lies elsewhere
			continue
		}
		for k, at := range map[int]float64{3: x / sum, 4: y / sum} {
			want := float64(d.Side) * (shapeMargin + (1-2*shapeMargin)*float64(factors.At(i, k))/(shapePlaces-1))
			if math.Abs(at-want) > 0.3 {
				t.Errorf("image %d: %s at %.2f, want %.2f", i, factors.Names[k], at, want)
			}
		}
	}
	for shape := range shapeNames {
		for size := 1; size < shapeSizes; size++ {
			if area[[2]int{shape, size}] <= area[[2]int{shape, size - 1}] {
				t.Errorf("%s of size %d is no larger than of %d", shapeNames[shape], size, size-1)
			}
		}
	}
}
