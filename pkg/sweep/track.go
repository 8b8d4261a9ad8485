package sweep

import (
	"fmt"
	"io"
	"path/filepath"

	"latent/pkg/message"
	"latent/pkg/mlflow"
	"latent/pkg/runs"
)

// tellUnsent says what of the trials an MLflow server has not got, whichever of the workers was to send it.
func (s *Sweep) tellUnsent(log io.Writer) error {
	base, err := s.Config.BaseExperiment()
	if err != nil || base.Tracking.MLflow == "" {
		return err
	}
	server, err := mlflow.NewServer(base.Tracking.MLflow)
	if err != nil {
		return err
	}
	trials, _, err := runs.List(filepath.Join(s.Path, trialsDir))
	if err != nil {
		return err
	}
	left := 0
	for _, trial := range trials {
		folder, err := trial.Open()
		if err == nil && !server.Has(folder, trial.Manifest) {
			left++
		}
	}
	if left > 0 {
		fmt.Fprintf(log, "MLflow: %s has not all of %s; what is missing is whole in the folders, and this sends it: %s track sync %s\n", server.URI(), message.Count(left, "run"), s.program(), message.Quote(s.Path))
	}
	return nil
}
