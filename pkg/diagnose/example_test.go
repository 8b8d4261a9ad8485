package diagnose_test

import (
	"fmt"

	"latent/pkg/diagnose"
	"latent/pkg/rundir"
)

// A learning rate that is far too high.
func Example() {
	facts := diagnose.Facts{LearningRate: 100, Result: rundir.Result{
		Test:      map[string]rundir.Number{"mse": 0.43, "psnr": 9.7},
		Corrupted: map[string]rundir.Number{"mse": 0.05, "psnr": 19.2},
	}}
	for _, w := range diagnose.Run(facts) {
		fmt.Println(w.Kind)
		fmt.Println(w.Text)
	}
	// Output:
	// worse-than-input
	// the reconstruction is worse than doing nothing: 9.70 dB, against 19.20 dB for the corrupted input; train longer (train.epochs), lower train.learning_rate, which is 100, or give the model more layers or a larger code
}
