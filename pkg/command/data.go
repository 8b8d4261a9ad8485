package command

import (
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"latent/pkg/dataset"
	"latent/pkg/experiment"
)

func newData(c *console) *cobra.Command {
	group := &cobra.Command{Use: "data", Short: "List and fetch datasets"}
	names := slices.Sorted(maps.Keys(dataset.Kinds))
	group.AddCommand(
		&cobra.Command{
			Use:   "list",
			Short: "List the datasets",
			Args:  cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				for _, name := range names {
					fmt.Fprintln(c.stdout, name)
				}
				return nil
			},
		},
		&cobra.Command{
			Use:     "fetch DATASET",
			Short:   "Download a dataset, or make it, and check it",
			Example: "  latent data fetch mnist",
			Args:    cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
			RunE: func(cmd *cobra.Command, args []string) error {
				split, err := dataset.Kinds[args[0]]().Load(cmd.Context(), dataset.Options{Progress: c.progress()})
				if err != nil {
					return experiment.InputError{Err: err}
				}
				fmt.Fprintf(c.stderr, "%s: %d training, %d validation and %d test images of %d×%d×%d\n", args[0],
					split.Train.Len(), split.Validation.Len(), split.Test.Len(), split.Test.Height, split.Test.Width, split.Test.Channels)
				for _, name := range slices.Sorted(maps.Keys(split.Checksums)) {
					fmt.Fprintf(c.stderr, "  %s  %s\n", split.Checksums[name], name)
				}
				return nil
			},
			ValidArgs: names,
		})
	return group
}
