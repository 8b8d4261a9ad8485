package anomaly

import (
	"context"
	"math"
	"testing"

	"latent/pkg/random"
)

// The squared length of a whitened sample is its Mahalanobis distance, with fewer features than samples and with more; and where the values
// of a reference are not correlated, each is divided by its own deviation.
func TestWhitening(t *testing.T) {
	for _, reference := range []Rows{normal(1500, 8, 0, 1), normal(30, 70, 0, 2)} {
		for i := range reference.Values { // correlated, and of other variances
			if j := i % reference.Features; j > 0 {
				reference.Values[i] = 3*reference.Values[i]*float32(j) + reference.Values[i-1]
			}
		}
		seed := random.NewSeed(1)
		w, err := NewWhitening(context.Background(), reference, seed)
		if err != nil {
			t.Fatal(err)
		}
		rows := normal(300, reference.Features, 2, 3)
		whitened, err := w.Whiten(context.Background(), rows)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range score(t, fit(t, Mahalanobis{}, reference), rows) {
			got := 0.0
			for _, z := range whitened.Row(i) {
				got += float64(z) * float64(z)
			}
			if math.Abs(got-want) > 1e-5*want {
				t.Fatalf("%d features: row %d has the length² %g, and the distance %g", rows.Features, i, got, want)
			}
		}
		_, err = w.Whiten(context.Background(), normal(3, 5, 0, 1))
		wantError(t, err, "samples of 5 features")
	}

	crossed := Rows{Values: []float32{2, 0, -2, 0, 0, 1, 0, -1}, Features: 2} // variances 2 and ½
	w, err := NewWhitening(context.Background(), crossed, random.NewSeed(1))
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.Whiten(context.Background(), Rows{Values: []float32{1, 1}, Features: 2})
	if err != nil {
		t.Fatal(err)
	}
	m := fit(t, Mahalanobis{}, crossed).(*mahalanobis)
	mean := 1.25
	for j, variance := range []float64{2, 0.5} {
		want := 1 / math.Sqrt((1-m.shrinkage)*variance+m.shrinkage*mean)
		if math.Abs(float64(got.Values[j])-want) > 1e-6 {
			t.Errorf("value %d becomes %g, want %g", j, got.Values[j], want)
		}
	}
}
