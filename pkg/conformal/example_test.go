package conformal_test

import (
	"fmt"

	"github.com/janpfeifer/must"

	"latent/pkg/conformal"
	"latent/pkg/random"
)

// normalScores are what a model gives normal samples that it was not trained on.
func normalScores(n int, seed int64) []float64 {
	scores := make([]float64, n)
	for i, z := range random.NewSeed(seed).Normal(n, 1) {
		scores[i] = float64(z)
	}
	return scores
}

// One false alarm in a hundred, whatever the scores are.
func Example() {
	calibration := must.M1(conformal.New(normalScores(1000, 1)))
	threshold := must.M1(calibration.Threshold(0.01))
	low, high := threshold.Realised()
	fmt.Printf("alarm above %.2f; this calibration realises a rate from %.2f %% to %.2f %%\n", threshold.Score, 100*low, 100*high)

	alarms := 0
	for _, score := range normalScores(100_000, 2) {
		if threshold.Alarm(score) {
			alarms++
		}
	}
	fmt.Printf("of 100,000 new normal samples, %.2f %% raise one\n", float64(alarms)/1000)
	for _, score := range []float64{0, 2, 5} {
		fmt.Printf("score %g: p %.4f\n", score, calibration.P(score))
	}

	_, err := calibration.Threshold(0.0001)
	fmt.Println(err)
	// Output:
	// alarm above 2.13; this calibration realises a rate from 0.48 % to 1.70 %
	// of 100,000 new normal samples, 1.63 % raise one
	// score 0: p 0.5015
	// score 2: p 0.0150
	// score 5: p 0.0010
	// threshold: a false alarm rate of 0.0001 needs 9999 normal samples to calibrate, but there are 1000; add some, or allow a rate of 0.001
}
