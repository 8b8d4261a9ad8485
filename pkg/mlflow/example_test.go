package mlflow_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"latent/pkg/mlflow"
	"latent/pkg/rundir"
)

// A run that is over is sent from its folder. The server here has no answer yet, which leaves the run as it was.
func Example() {
	starting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "starting", http.StatusServiceUnavailable)
	}))
	defer starting.Close()
	dir, err := os.MkdirTemp("", "runs")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	folder, err := rundir.Create(dir, "demo", time.Now())
	if err != nil {
		log.Fatal(err)
	}
	defer folder.Close()
	if err := folder.WriteManifest(rundir.NewManifest()); err != nil {
		log.Fatal(err)
	}

	server, err := mlflow.NewServer(starting.URL)
	if err != nil {
		log.Fatal(err)
	}
	values := func() (map[string]any, error) { return map[string]any{"train.learning_rate": 0.001}, nil }
	sent, err := server.Run(folder, values).Send(context.Background(), false)
	fmt.Println(sent.Complete, errors.Is(err, mlflow.ErrUnreachable))
	// Output: false true
}
