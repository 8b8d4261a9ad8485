package model

import (
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/random"
)

// The logits of a part are a matter of the parts before it alone, and of all of them.
func TestSequence(t *testing.T) {
	m := &Sequence{Parts: 4, Entries: 5, Embedding: 3, Hidden: 8}
	image := Image{Height: 1, Width: 4, Channels: 1}
	params := Params(m, image)
	base := []float32{1, 0, 4, 2}
	rows := [][]float32{base}
	for part := range 4 {
		other := append([]float32{}, base...)
		other[part] = 3
		rows = append(rows, other)
	}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		args := []any{rows}
		for i, weights := range FirstWeights(m, image, random.NewSeed(1)) {
			if params[i].Name == "sequence.last.bias" {
				continue // zeros
			}
			args = append(args, weights)
		}
		output, err := ExecOnce(b.Compute, func(in []*Node) *Node {
			p := &Pass{Weights: Weights{"sequence.last.bias": ZerosLike(Reshape(Slice(in[len(in)-1], AxisRange(0, 4)), 4, 5))}}
			at := 1
			for _, param := range params {
				if param.Name != "sequence.last.bias" {
					p.Weights[param.Name] = in[at]
					at++
				}
			}
			return m.Apply(p, Reshape(in[0], -1, 1, 4, 1)).Logits
		}, args...)
		if err != nil {
			t.Fatal(err)
		}
		logits := tensors.MustCopyFlatData[float32](output)
		of := func(row, part int) []float32 { return logits[(row*4+part)*5:][:5] }
		for changed := range 4 {
			for part := range 4 {
				alike := true
				for k, logit := range of(1+changed, part) {
					alike = alike && math.Abs(float64(logit-of(0, part)[k])) < 1e-5
				}
				if want := part <= changed; alike != want {
					t.Errorf("part %d was changed: the logits of part %d stay: %v, want %v", changed, part, alike, want)
				}
			}
		}
	})
}
