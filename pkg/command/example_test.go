package command_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/janpfeifer/must"

	"latent/pkg/command"
)

// Run is a command line inside a program; the whole program latent is command.Main().
func Example() {
	dir := must.M1(os.MkdirTemp("", "configs"))
	defer os.RemoveAll(dir)
	defer os.Chdir(must.M1(os.Getwd()))
	must.M(os.Chdir(dir))
	must.M(os.WriteFile(filepath.Join(dir, "mine.yaml"), []byte("train: {epohcs: 3}\n"), 0o644))

	status := command.Run([]string{"config", "check", "mine.yaml", "train.batch_size=0"}, os.Stdout, os.Stdout)
	fmt.Println("status", status)
	// Output:
	// mine.yaml:1:9: train.epohcs: unknown key; did you mean epochs? allowed here: optimizer, learning_rate, schedule, restarts, extended, warmup_epochs, batch_size, accumulate, checkpoint_activations, from, freeze, rates, epochs, max_steps, loss, loss_on, huber_delta, perceptual, clip_norm, beta1, beta2, epsilon, momentum, weight_decay, ema, precision, group, devices, early_stopping, keep_checkpoints
	// override train.batch_size=0: found 0, want a whole number from 1 to 1048576
	// status 2
}
