package ranking_test

import (
	"fmt"

	"github.com/janpfeifer/must"

	"latent/pkg/random"
	"latent/pkg/ranking"
)

// 20 anomalies among 200 samples, by a score that is higher for them by one and a half standard deviations.
func Example() {
	scores, anomalous := make([]float64, 200), make([]bool, 200)
	for i, z := range random.NewSeed(1).Normal(200, 1) {
		scores[i], anomalous[i] = float64(z), i < 20
		if anomalous[i] {
			scores[i] += 1.5
		}
	}
	r := must.M1(ranking.New(scores, anomalous))
	show := func(name string, e ranking.Estimate) {
		fmt.Printf("%-28s %.3f (%.3f to %.3f)\n", name, e.Value, e.Low, e.High)
	}
	figures := r.Bootstrap(1000, random.NewSeed(1))
	show("AUROC", r.AUROC())
	show("average precision", figures.AveragePrecision)
	show("false alarms at 95 % recall", figures.FalseAlarms95)
	show("precision at 20", figures.PrecisionAtN)
	// Output:
	// AUROC                        0.877 (0.752 to 0.944)
	// average precision            0.592 (0.396 to 0.781)
	// false alarms at 95 % recall  0.228 (0.150 to 0.939)
	// precision at 20              0.450 (0.250 to 0.650)
}

// A map that finds a small defect whole and a large one in half.
func ExamplePixels() {
	scores := []float32{
		9, 1, 2, 3, 1, 0,
		1, 1, 1, 1, 8, 8,
		0, 0, 1, 0, 0, 0,
	}
	mask := []bool{
		true, false, false, false, false, false,
		false, false, false, false, true, true,
		false, false, false, false, true, true,
	}
	var pixels ranking.Pixels
	must.M(pixels.Add(scores, mask, 6))
	figures := must.M1(pixels.Figures())
	fmt.Printf("%d regions: AUROC %.3f, PRO %.3f\n", figures.Regions, figures.AUROC, figures.PRO)
	// Output:
	// 2 regions: AUROC 0.662, PRO 0.750
}
