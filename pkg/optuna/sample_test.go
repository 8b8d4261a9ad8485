package optuna

import (
	"math"
	"time"
)

var start = time.Date(2026, 11, 24, 10, 15, 30, 123456789, time.FixedZone("", -5*3600))

func after(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }

// sampleStudy has every kind of parameter.
func sampleStudy() Study {
	return Study{
		Name: "noise × rate", Maximize: []bool{false}, Metrics: []string{"test.mse"},
		Space: []Parameter{
			{Name: "train.learning_rate", Kind: Float, Low: 1e-4, High: 1e-1, Log: true},
			{Name: "corrupt.noise_factor", Kind: Float, Low: 0, High: 1},
			{Name: "corrupt.share", Kind: Float, Low: 0, High: 0.5, Step: 0.125},
			{Name: "train.batch_size", Kind: Int, Low: 16, High: 512, Log: true},
			{Name: "train.epochs", Kind: Int, Low: 2, High: 10, Step: 4},
			{Name: "seed", Kind: Int, Low: -3, High: 3},
			{Name: "model.encoder", Kind: Categorical, Options: []string{"[256, 64]", "[512]", "<\"é\" & NaN>"}},
		},
		Attrs: map[string]any{"folder": "runs/sweep é", "seeds": []int{1, 2}},
	}
}

// sampleTrials has every state, with the values that JSON does not have.
func sampleTrials() []Trial {
	all := map[string]float64{
		"train.learning_rate": 0.003, "corrupt.noise_factor": 0, "corrupt.share": 0.375, "train.batch_size": 64, "train.epochs": 6,
		"seed": -2, "model.encoder": 2,
	}
	few := map[string]float64{"train.learning_rate": 1e-4, "corrupt.noise_factor": 1, "seed": 3, "model.encoder": 0}
	return []Trial{
		{Number: 0, State: Done, Params: all, Values: []float64{0.25}, Curve: []Report{{1, 5}, {2, 1e-7}, {10, 0.25}},
			Attrs:   map[string]any{"run": "runs/0", "psnr": math.Inf(1), "nan": math.NaN(), "nested": map[string]any{"a": []any{1, "NaN, -Infinity"}}},
			Started: start, Finished: after(1)},
		{Number: 1, State: Pruned, Params: few, Curve: []Report{{3, math.NaN()}, {2, math.Inf(-1)}, {1, math.Inf(1)}},
			Attrs: map[string]any{"run": "runs/1\n\u2028</script>"}, Started: after(1), Finished: after(2)},
		{Number: 2, State: Failed, Params: few, Started: after(2), Finished: after(3)},
		{Number: 3, State: Done, Params: all, Values: []float64{math.NaN()}, Finished: after(4)},
		{Number: 4, State: Pruned, Params: few, Curve: []Report{{2, 3}, {1, 2}}, Started: after(3), Finished: after(5)},
		{Number: 5, State: Done, Params: few, Values: []float64{-1e300}, Started: after(4), Finished: after(6)},
		{Number: 6, State: Done, Params: few, Values: []float64{1e16}, Started: after(4), Finished: after(6)},
		{Number: 7, State: Running, Params: all, Curve: []Report{{0, -5e-324}}, Started: after(6)},
		{Number: 8, State: Waiting, Params: few},
		{Number: 9, State: Waiting},
	}
}
