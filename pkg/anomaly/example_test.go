package anomaly_test

import (
	"context"
	"fmt"

	"github.com/janpfeifer/must"

	"latent/pkg/anomaly"
	"latent/pkg/random"
)

// Two features that go together in normal samples: 2, -2 is usual in each alone, and still an anomaly.
func Example() {
	var values []float32
	along, across := random.NewSeed(1).Normal(500, 1), random.NewSeed(2).Normal(500, 0.1)
	for i := range along {
		values = append(values, along[i]+across[i], along[i]-across[i])
	}
	reference := anomaly.Rows{Values: values, Features: 2}
	rows := anomaly.Rows{Values: []float32{2, 2, 2, -2}, Features: 2}

	ctx := context.Background()
	for _, name := range []string{"pca", "mahalanobis", "knn", "iforest"} {
		scorer := must.M1(anomaly.Baselines()[name].Fit(ctx, reference, random.NewSeed(3)))
		scores := must.M1(scorer.Score(ctx, rows))
		fmt.Printf("%-12s %7.3f %9.3f\n", name, scores[0], scores[1])
	}
	// Output:
	// pca            0.000     4.009
	// mahalanobis    3.976   296.698
	// knn            0.224     2.609
	// iforest        0.614     0.655
}

// Of a sample that does not fit, the features that stick out.
func ExampleResiduals() {
	normal := anomaly.Rows{Values: []float32{1, 50, 2, 70, 3, 60}, Features: 2}
	reconstructed := anomaly.Rows{Values: []float32{1.1, 55, 1.9, 65, 3.1, 65}, Features: 2}
	residuals := must.M1(anomaly.NewResiduals(normal, reconstructed))
	for _, c := range residuals.Top([]float32{3, 54}, []float32{2, 60}, 2) {
		fmt.Printf("feature %d: off by %g, %.1f times the usual squared error, %.0f %% of the score\n",
			c.Feature, c.Error, c.Times, 100*c.Share)
	}
	// Output:
	// feature 0: off by 1, 100.0 times the usual squared error, 99 % of the score
	// feature 1: off by -6, 1.4 times the usual squared error, 1 % of the score
}
