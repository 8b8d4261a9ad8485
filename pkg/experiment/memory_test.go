package experiment

import (
	"errors"
	"strings"
	"testing"

	"latent/pkg/train"
)

// What cannot fit is refused with the figures and the keys to change; what may, and what nobody knows, is not.
func TestMemoryProblem(t *testing.T) {
	m := train.Memory{Images: 1e9, State: 2e9, Step: 10e9} // 10 GB at least
	err := memoryProblem(m, "the GPU", 9e9, 128)
	var input InputError
	if !errors.As(err, &input) {
		t.Fatalf("%v, want an InputError", err)
	}
	for _, want := range []string{"about 13000.0 MB", "images 1000.0 MB", "optimizer 2000.0 MB", "a step 10000.0 MB", "the GPU has 9000.0 MB", "train.batch_size, which is 128"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	for _, have := range []int64{11e9, 0} {
		if err := memoryProblem(m, "this machine", have, 128); err != nil {
			t.Errorf("with %d bytes: %v", have, err)
		}
	}
}
