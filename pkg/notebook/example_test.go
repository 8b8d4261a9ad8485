package notebook_test

import (
	"github.com/janpfeifer/must"

	"latent/pkg/notebook"
	"latent/pkg/rundir"
)

// In a notebook this is a table of the cell; in a plain program, as here, it is text.
func Example() {
	result := rundir.Result{
		Test:      map[string]rundir.Number{"mse": 0.0356, "psnr": 21.18},
		Corrupted: map[string]rundir.Number{"mse": 0.0483, "psnr": 19.2},
	}
	must.M(notebook.Show("the seed's model:", notebook.Figures(result)))
	// Output:
	// the seed's model:
	// test images  reconstructed  corrupted input
	// MSE          0.03560        0.04830
	// PSNR, dB     21.18          19.20
}
