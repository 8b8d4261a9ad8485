package survey_test

import (
	"fmt"
	"time"

	"latent/pkg/search"
	"latent/pkg/survey"
)

// What a sweep is doing, on a terminal; Render makes the page of it. Two trials over the learning rate are done, and one runs.
func Example() {
	started := time.Date(2026, time.November, 24, 10, 15, 0, 0, time.UTC)
	sweep := survey.Sweep{
		Name: "lr", State: survey.Running, Objectives: []survey.Objective{{Metric: "val_psnr", Maximize: true, Unit: "dB"}},
		Space: search.Space{{Name: "train.learning_rate", Kind: search.Float, Low: 1e-4, High: 1e-2, Log: true, Parent: -1}},
		Trials: []survey.Trial{
			{Number: 0, State: survey.Done, Point: search.Point{0.001}, Values: []float64{20.504}, Seconds: 30},
			{Number: 1, State: survey.Done, Point: search.Point{0.004}, Values: []float64{21.25}, Seconds: 30},
			{Number: 2, State: survey.Running, Point: search.Point{0.007}, Curve: []search.Report{{Step: 3, Value: 18.2}}, Seconds: 12},
		},
		Best: []int{1}, Budget: survey.Budget{Trials: 10}, Started: started, Updated: started.Add(72 * time.Second),
	}
	fmt.Print(survey.Table(sweep, 80))
	// Output:
	// lr, running; 3 of 10 trials: 2 done, 1 running; about 4 min left
	// trial  state    val_psnr, dB  epoch    now  time  learning_rate
	//     1  best            21.25                30 s          0.004
	//     2  running             —      3  18.20  12 s          0.007
	//     0  done            20.50                30 s          0.001
}
