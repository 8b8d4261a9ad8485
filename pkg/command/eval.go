package command

import (
	"github.com/spf13/cobra"

	"latent/pkg/experiment"
	"latent/pkg/rundir"
)

func newEval(c *console) *cobra.Command {
	var data string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "eval RUN [key=value …]",
		Short: "Measure a run's model on its test images or on others",
		Long: `Eval measures the model of a run: on the run's own test images, or on the pictures of a folder, all of them, scaled to the
model's size. Overrides change the config for the measurement, such as corrupt.noise_factor=0.5. evaluate.generated=10000 scores
what the model generates, evaluate.probe=true what a linear classifier reads from its codes; with --data, neither is measured.`,
		Example: "  latent eval runs/mnist-denoise/2026-11-24T10-15-30-7f3a --data photos corrupt.noise_factor=0.5",
		Args:    cobra.MinimumNArgs(1),
	}
	cmd.Flags().StringVar(&data, "data", "", "folder with pictures, instead of the run's test images")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the figures as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		options := experiment.Options{Log: c.stderr, Terminal: c.terminal()}
		run, err := pathOf(args[0])
		if err != nil {
			return err
		}
		trained, err := experiment.Open(cmd.Context(), run, args[1:], options)
		if err != nil {
			return err
		}
		defer trained.Close()
		result, images, err := trained.Evaluate(cmd.Context(), data, options)
		if err != nil || !asJSON {
			return err
		}
		return printJSON(c, struct {
			Run    string        `json:"run"`
			Images int           `json:"images"`
			Result rundir.Result `json:"result"`
		}{args[0], images, result})
	}
	return cmd
}
