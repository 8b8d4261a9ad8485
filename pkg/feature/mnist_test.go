package feature

import (
	"context"
	"os"
	"testing"
	"time"

	"latent/pkg/backend/backendtest"
	"latent/pkg/dataset"
)

// The classifier tells at least 98.5 % of MNIST's test images.
func TestMNIST(t *testing.T) {
	if os.Getenv("LATENT_LONG") == "" {
		t.Skip("SKIPPED: trains for half a minute; set LATENT_LONG=1")
	}
	if os.Getenv("LATENT_DATA_DIR") == "" {
		t.Skip("SKIPPED: set LATENT_DATA_DIR to a folder with MNIST's four files")
	}
	split, err := dataset.Kinds["mnist"]().Load(context.Background(), dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	backend := backendtest.XLA(t)
	start := time.Now()
	c, err := Open(context.Background(), backend, split, Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	test, err := c.Describe(context.Background(), split.Test)
	if err != nil {
		t.Fatal(err)
	}
	accuracy := test.Accuracy(split.Test.Labels)
	t.Logf("accuracy %.4f, trained in %v", accuracy, took)
	if accuracy < 0.985 {
		t.Errorf("accuracy %.4f, want at least 0.985", accuracy)
	}
}
