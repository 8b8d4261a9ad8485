package train

import (
	"fmt"
	"slices"
	"testing"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/model"
)

// A layer's rate is the learning rate times its factor, in the optimizer's own arithmetic; runs with other factors share the program, alone and
// as one. Frozen layers have no slots.
func TestRates(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		slow := spec()
		slow.Optimizer, slow.Epochs = "sgd", 1
		fast := slow
		fast.LearningRate *= 2
		factored := slow
		factored.Rates = []Rate{{"encoder", 2}, {"decoder", 0.5}, {"decoder.layer_1", 2}, {"decoder.layer_2", 2}}
		want := finish(t, alone(t, b, fast))[0]
		// Every layer has the factor 2: the longest name counts.
		agree(t, "losses", finish(t, alone(t, b, factored))[0], want, 1e-6)

		other := factored
		other.Rates = []Rate{{"encoder", 0}, {"decoder", 0}, {"decoder.layer_1", 0}, {"decoder.layer_2", 1}}
		for _, how := range []string{"loop", "batched"} {
			factored.Group, other.Group = how, how
			if how == "batched" && b.Name == "go" {
				continue
			}
			group := start(t, b, blobs(blobCount), factored, other)
			before := stateOf(t, group.Runs[1])
			agree(t, how, finish(t, group)[0], want, 1e-5)
			after := stateOf(t, group.Runs[1])
			for i, param := range group.program.params {
				same := slices.Equal(before.Tensors[i].Values, after.Tensors[i].Values)
				if want := !within(param.Name, "decoder.layer_2"); same != want {
					t.Errorf("%s: %s unchanged %t, want %t", how, param.Name, same, want)
				}
			}
		}

		frozen := slow
		frozen.Freeze = []string{"encoder"}
		group := alone(t, b, frozen)
		for _, tensor := range stateOf(t, group.Runs[0]).Tensors {
			if within(tensor.Name, "encoder") && tensor.OfTraining() {
				t.Errorf("there is %s", tensor.Name)
			}
		}
	})
}

// Values that a run begins with are those of its state, and of the parameters behind averages, and no other run of the program has them.
func TestBegin(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		averaged := spec()
		averaged.EMA = 0.9
		group := start(t, b, blobs(blobCount), averaged, averaged)
		param := group.program.params[0]
		begun := make([]float32, param.Size())
		begun[0] = 7
		if err := group.Runs[0].Begin(map[string][]float32{param.Name: begun}); err != nil {
			t.Fatal(err)
		}
		for i, run := range group.Runs {
			for _, tensor := range stateOf(t, run).Tensors {
				if tensor.Name != param.Name && tensor.Name != param.Name+"/trained" {
					continue
				}
				if got := slices.Equal(tensor.Values, begun); got != (i == 0) {
					t.Errorf("run %d: %s has the values %t, want %t", i, tensor.Name, got, i == 0)
				}
			}
		}
		if err := group.Runs[0].Begin(map[string][]float32{param.Name: {1}}); err == nil {
			t.Error("a single value was taken")
		}
	})
}

// The longest name decides, up to a dot.
func TestRateOf(t *testing.T) {
	options := Options{Freeze: []string{"encoder.layer_1"}, Rates: []Rate{{"encoder.layer_1", 3}, {"encoder", 2}}}
	for param, want := range map[string]string{
		"encoder.layer_1.weight": "3 true", "encoder.layer_10.weight": "2 false", "encoder.layer_1": "3 true", "decoder.layer_1.weight": "1 false",
	} {
		if got := fmt.Sprint(options.Factor(param), options.Frozen(param)); got != want {
			t.Errorf("%s: %s, want %s", param, got, want)
		}
	}
	var problems []string
	options.CheckLayers([]model.Param{{Name: "encoder.layer_1.weight"}}, func(key, problem string) { problems = append(problems, key+": "+problem) })
	if want := []string{"freeze: nothing is left to train; leave a layer out"}; !slices.Equal(problems, want) {
		t.Errorf("%q, want %q", problems, want)
	}
}
