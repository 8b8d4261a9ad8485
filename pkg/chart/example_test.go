package chart_test

import (
	"bytes"
	"fmt"

	"latent/pkg/chart"
)

// A chart is SVG: Element goes on a page with chart.Style, File is a file of its own.
func Example() {
	train, held := chart.Series{Class: "a", Name: "training"}, chart.Series{Class: "b", Name: "validation"}
	for epoch, loss := range []float64{0.5, 0.2, 0.1} {
		train.Add(float64(epoch+1), loss)
		held.Add(float64(epoch+1), loss*1.1)
	}
	drawn, ok := chart.Lines("Loss", "epoch", true, train, held)
	fmt.Println(ok, drawn.Label)

	fmt.Println(drawn.Legend, bytes.HasPrefix(drawn.File(), []byte("<svg ")))
	// Output:
	// true Loss; training from 0.5 to 0.1; validation from 0.55 to 0.11
	// [{a training} {b validation}] true
}

func ExampleNumber() {
	fmt.Println(chart.Number(0.1+0.2), chart.Number(21.20449), chart.Number(1e-5))
	// Output: 0.3 21.2 1e−5
}
