package command

import (
	"github.com/spf13/cobra"

	"latent/pkg/config"
	"latent/pkg/experiment"
	"latent/pkg/rundir"
)

func newImport(c *console) *cobra.Command {
	var out string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "import WEIGHTS CONFIG [key=value …]",
		Short: "Make a run of weights that were trained elsewhere",
		Long: `Import takes the weights of an experiment's model, measures them on the test images, draws the final picture, and leaves a run's
folder, on which eval, denoise, generate and export work.

The weights are those of a safetensors file, such as latent export writes, or of a PyTorch state dict:

  torch.save(model.state_dict(), "model.pt")

Linear layers, convolutions, transposed convolutions and norms are taken one after another, the encoder's before the decoder's, and must be
those of the config; docs/weights.md has modules of PyTorch beside their configs. To train such weights on: latent run CONFIG --from WEIGHTS.`,
		Example: "  latent import model.pt configs/mnist/denoise.yaml",
		Args:    cobra.MinimumNArgs(2),
	}
	cmd.Flags().StringVar(&out, "out", "", "folder for all runs, instead of output.dir")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the run's folder and manifest as JSON at the end")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e, err := config.Load(args[1], args[2:]...)
		if err != nil {
			return err
		}
		if out != "" {
			e.Output.Dir = out
		}
		run, err := experiment.Import(cmd.Context(), e, args[0], experiment.Options{Log: c.stderr, Terminal: c.terminal(), Command: commandLine()})
		if err != nil || !asJSON {
			return err
		}
		return printRuns(c, []*rundir.Run{run})
	}
	return cmd
}
