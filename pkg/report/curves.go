package report

import (
	"latent/pkg/chart"
	"latent/pkg/rundir"
)

// Curves draws what a run's records hold, over epochs: the loss, the PSNR or the explained variance, and the learning rate where it changes. Of what there is
// no record yet, there is no chart.
func Curves(windows []rundir.Window, epochs []rundir.Epoch) []chart.Chart {
	steps := stepsPerEpoch(windows, epochs)
	loss := chart.Series{Class: "faint", Name: "training, each window"}
	rate := chart.Series{Class: "a", Name: "learning rate"}
	for _, w := range windows {
		loss.Add(float64(w.Step)/steps, float64(w.Loss))
		rate.Add(float64(w.Step)/steps, float64(w.LearningRate))
	}
	train := chart.Series{Class: "a", Name: "training, mean of the epoch", Dotted: true}
	validation := chart.Series{Class: "b", Name: "validation", Dotted: true}
	psnr := chart.Series{Class: "b", Name: "reconstructed", Dotted: true}
	corrupted := chart.Series{Class: "c", Name: "corrupted input"}
	explained := chart.Series{Class: "b", Name: "reconstructed", Dotted: true}
	for _, e := range epochs {
		x := float64(e.Step) / steps
		train.Add(x, float64(e.TrainLoss))
		addIf(&validation, x, e.ValLoss)
		addIf(&psnr, x, e.ValPSNR)
		addIf(&corrupted, x, e.CorruptedPSNR)
		addIf(&explained, x, e.ValExplainedVariance)
	}
	var charts []chart.Chart
	add := func(title string, mayBeLog bool, all ...chart.Series) {
		if drawn, some := chart.Lines(title, "epoch", mayBeLog, all...); some {
			charts = append(charts, drawn)
		}
	}
	add("Loss", true, loss, train, validation)
	add("PSNR of validation images, dB", false, psnr, corrupted)
	add("Explained variance of validation rows", false, explained)
	if !rate.Constant() {
		add("Learning rate", false, rate)
	}
	return charts
}

// stepsPerEpoch is read from the first epoch's record, so that both kinds of records share the axis; without one, the axis
// counts steps.
func stepsPerEpoch(windows []rundir.Window, epochs []rundir.Epoch) float64 {
	if len(epochs) > 0 && epochs[0].Epoch > 0 && epochs[0].Step > 0 {
		return float64(epochs[0].Step) / float64(epochs[0].Epoch)
	}
	return 1
}

// addIf adds a value that may be missing.
func addIf(s *chart.Series, x float64, y *rundir.Number) {
	if y != nil {
		s.Add(x, float64(*y))
	}
}
