package command

import (
	"errors"

	"github.com/spf13/cobra"

	"latent/pkg/experiment"
)

func newVerify(c *console) *cobra.Command {
	var epochs int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify RUN",
		Short: "Train a run again and compare every recorded figure",
		Long: `Verify trains the run in a folder again, in memory, and says whether every recorded loss, figure and checksum of the
weights comes out the same, to the bit. Exit status 1 says that something does not.`,
		Example: "  latent verify runs/quickstart/2026-11-24T10-15-30-7f3a --epochs 2",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().IntVar(&epochs, "epochs", 0, "only so many of the first epochs; 0 is all that are recorded")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was compared and every difference as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if epochs < 0 {
			return usageError{errors.New("--epochs: want 0 or more")}
		}
		options := experiment.Options{Log: c.stderr, Terminal: c.terminal()}
		run, err := pathOf(args[0])
		if err != nil {
			return err
		}
		found, err := experiment.Verify(cmd.Context(), run, epochs, options)
		if asJSON && found != nil {
			err = errors.Join(err, printJSON(c, found))
		}
		return err
	}
	return cmd
}
