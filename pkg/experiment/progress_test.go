package experiment

import "testing"

// A line of progress stays on one line of any terminal.
func TestFitted(t *testing.T) {
	for _, c := range []struct {
		columns int
		want    string
	}{{0, "epoch 1 ████ loss 0.5"}, {80, "epoch 1 ████ loss 0.5"}, {22, "epoch 1 ████ loss 0.5"}, {21, "epoch 1 loss 0.5"}, {10, "epoch 1 l"}, {1, ""}} {
		if got := fitted(c.columns, "epoch 1 ", "████ ", "loss 0.5"); got != c.want {
			t.Errorf("%d columns: %q, want %q", c.columns, got, c.want)
		}
	}
}
