package command

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"latent/pkg/experiment"
	"latent/pkg/rundir"
)

func newEval(c *console) *cobra.Command {
	var data, damaged string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "eval RUN [key=value …]",
		Short: "Measure a run's model on its test images or on others",
		Long: `Eval measures the model of a run: on the run's own test samples, or on all pictures of a folder, or all rows of a
file. Pictures keep their own sizes where the model takes any (unet, dncnn), and are scaled to the model's where it does not, which is said. Overrides change the config for the measurement, such as corrupt.noise_factor=0.5. evaluate.generated=10000 scores
what the model generates, evaluate.probe=true what a linear classifier reads from its codes; with --data, neither is measured.
Where parts of the run's end are missing (see the warnings in its report), eval without overrides writes what it measures into the run.
With --damaged DIR, the samples are also written as the model was given them, so that other methods can be measured on the same:
00001-damaged.npy and 00001-clean.npy, float32 in the data's units.`,
		Example: "  latent eval runs/mnist-denoise/2026-11-24T10-15-30-7f3a --data photos corrupt.noise_factor=0.5",
		Args:    cobra.MinimumNArgs(1),
	}
	cmd.Flags().StringVar(&data, "data", "", "folder with pictures, or file of a table or an array, instead of the run's test samples")
	cmd.Flags().StringVar(&damaged, "damaged", "", "folder for the samples as the model is given them, and clean ones, as .npy files")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the figures as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		options := experiment.Options{Log: c.stderr, Terminal: c.terminal()}
		trained, err := openRun(cmd.Context(), args[0], args[1:], options)
		if err != nil {
			return err
		}
		defer trained.Close()
		if damaged != "" {
			if err := cmp.Or(canWrite(damaged), os.MkdirAll(damaged, 0o755)); err != nil {
				return experiment.InputError{Err: fmt.Errorf("write to the folder %s: %w; choose another with --damaged", damaged, err)}
			}
			if err := trained.WriteDamaged(cmd.Context(), data, damaged, options); err != nil {
				return err
			}
		}
		result, images, err := trained.Evaluate(cmd.Context(), data, options)
		if result.Test == nil || !asJSON {
			return err
		}
		return errors.Join(err, printJSON(c, struct {
			Run    string        `json:"run"`
			Images int           `json:"images"`
			Result rundir.Result `json:"result"`
		}{args[0], images, result}))
	}
	return cmd
}
