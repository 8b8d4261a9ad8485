package experiment_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/experiment"
	"latent/pkg/rundir"
	"latent/pkg/train"
)

// A run that is done goes on to more epochs. Where its rate is constant or begins again, it ends with the bits of one that was made for them from
// the start; and again after a second time, and where it was killed between the manifest and the config.
func TestLonger(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		if b.Name != "go" {
			return // nothing of this depends on the backend
		}
		same := func(whole, grown *rundir.Run) {
			t.Helper()
			for _, name := range []string{"checkpoints/best.ckpt", "checkpoints/step-000000048.ckpt", "samples/final.png"} {
				if read(t, whole, name) != read(t, grown, name) {
					t.Errorf("%s differs from that of the run that was made for four epochs", name)
				}
			}
			if a, b := records(t, whole), records(t, grown); a != b {
				t.Errorf("records differ:\nwhole %s\ngrown %s", a, b)
			}
		}
		run := func(overrides ...string) *rundir.Run {
			t.Helper()
			run, err := experiment.Run(context.Background(), load(t, b, tiny, overrides...), experiment.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return run
		}
		resume := func(run *rundir.Run, longer experiment.Longer) error {
			_, err := experiment.Resume(context.Background(), run.Path, experiment.Options{Longer: longer})
			return err
		}

		grown := run("train.epochs=1")
		for _, epochs := range []int{2, 4} {
			if err := resume(grown, experiment.Longer{Epochs: epochs}); err != nil {
				t.Fatal(err)
			}
		}
		same(run(), grown)
		m := manifestOf(t, grown)
		if m.State != rundir.Done || m.Error != "" || len(m.Prolonged) != 2 || m.Prolonged[1].From != 2 || m.Prolonged[1].Epochs != 4 || m.Result.Epoch == 0 {
			t.Errorf("%s %q, prolonged %+v, result of epoch %d", m.State, m.Error, m.Prolonged, m.Result.Epoch)
		}
		if err := resume(grown, experiment.Longer{Epochs: 3}); err == nil || !strings.Contains(err.Error(), "has 4 already") {
			t.Errorf("fewer epochs: %v", err)
		}

		falling := run("train.epochs=2", "train.schedule=cosine")
		before := read(t, falling, "config.yaml")
		if err := resume(falling, experiment.Longer{Epochs: 4}); err == nil || !strings.Contains(err.Error(), "--schedule extend goes on as a cosine over 4 epochs, which has 0.0015 there") {
			t.Errorf("a cosine without a word on how: %v", err)
		}
		if m := manifestOf(t, falling); m.State != rundir.Done || read(t, falling, "config.yaml") != before {
			t.Error("a refusal has changed the run")
		}
		if err := resume(falling, experiment.Longer{Epochs: 4, Schedule: experiment.ScheduleRestart}); err != nil {
			t.Fatal(err)
		}
		same(run("train.schedule=cosine", "train.restarts=[2]"), falling)

		killed := run("train.epochs=2", "train.schedule=cosine")
		before = read(t, killed, "config.yaml")
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		options := experiment.Options{Log: &stopper{cancel: cancel, after: 1}, Terminal: true, Longer: experiment.Longer{Epochs: 4, Schedule: experiment.ScheduleExtend}}
		if _, err := experiment.Resume(ctx, killed.Path, options); !errors.Is(err, experiment.ErrInterrupted) || read(t, killed, "config.yaml") == before {
			t.Fatalf("it ends with %v", err)
		}
		if err := os.WriteFile(killed.ConfigPath(), []byte(before), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := resume(killed, experiment.Longer{}); err != nil {
			t.Fatal(err)
		}
		same(run("train.schedule=cosine", "train.extended=[2]"), killed)

		// Seeds that train together go on together; one that was stopped before its end stays as it is.
		group := func(epochs string) []*rundir.Run {
			t.Helper()
			runs, err := experiment.RunSeeds(context.Background(), load(t, b, tiny, epochs), []int64{5, 6, 7}, experiment.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return runs
		}
		whole, together := group("train.epochs=4"), group("train.epochs=2")
		stopped := manifestOf(t, together[1])
		stopped.State, stopped.Error = rundir.Diverged, "step 3: the loss is not a finite number"
		if err := together[1].WriteManifest(stopped); err != nil {
			t.Fatal(err)
		}
		if err := resume(together[0], experiment.Longer{Epochs: 4}); err != nil && !errors.Is(err, train.ErrDiverged) {
			t.Fatal(err)
		}
		same(whole[0], together[0])
		same(whole[2], together[2])
		if m := manifestOf(t, together[1]); m.State != rundir.Diverged || len(m.Prolonged) > 0 || m.Error != stopped.Error {
			t.Errorf("the one that diverged is %s %q, prolonged %v", m.State, m.Error, m.Prolonged)
		}
		if err := resume(together[2], experiment.Longer{}); err != nil && !errors.Is(err, train.ErrDiverged) {
			t.Errorf("resumed again: %v", err)
		}
	})
}
