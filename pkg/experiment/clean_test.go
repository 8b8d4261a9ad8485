package experiment

import (
	"reflect"
	"testing"

	"latent/pkg/evaluate"
)

// What cannot be scored is told by its own values where these are no numbers, such as one that is too large for the scale.
func TestClean(t *testing.T) {
	huge := float32(3e38)
	infinite := huge * huge
	r := evaluate.Reconstructed{Count: 3, Samples: []float32{1, -infinite, 2, 3, 4, 5}, Outputs: []float32{0, 0, 0, 0, infinite, 0}}
	lost, broken := clean(r)
	if want := []bool{true, false, true}; !reflect.DeepEqual(lost, want) {
		t.Errorf("lost %v, want %v", lost, want)
	}
	if want := map[int][]int{0: {1}}; !reflect.DeepEqual(broken, want) {
		t.Errorf("broken %v, want %v", broken, want)
	}
	if r.Samples[1] != 0 || r.Outputs[4] != 0 {
		t.Error("what is no number stays")
	}
	top := new(detector).top(r, 0, scoreMSE, 3, broken[0])
	if want := []Contribution{{Value: 1, Share: 1}}; !reflect.DeepEqual(top, want) {
		t.Errorf("contributions %v, want %v", top, want)
	}
}
