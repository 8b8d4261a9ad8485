package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"latent/pkg/config"
)

func newConfig(c *console) *cobra.Command {
	group := &cobra.Command{Use: "config", Short: "Check and show configs"}
	group.AddCommand(
		&cobra.Command{
			Use:     "check CONFIG [key=value …]",
			Short:   "Find all mistakes of a config",
			Example: "  latent config check configs/quickstart.yaml train.epochs=3",
			Args:    cobra.MinimumNArgs(1),
			RunE: func(_ *cobra.Command, args []string) error {
				if _, err := config.Load(args[0], args[1:]...); err != nil {
					return err
				}
				fmt.Fprintf(c.stderr, "%s: no mistakes\n", args[0])
				return nil
			},
		},
		&cobra.Command{
			Use:     "show CONFIG [key=value …]",
			Short:   "Print the resolved config, every key with its value",
			Example: "  latent config show configs/quickstart.yaml",
			Args:    cobra.MinimumNArgs(1),
			RunE: func(_ *cobra.Command, args []string) error {
				e, err := config.Load(args[0], args[1:]...)
				if err != nil {
					return err
				}
				text, err := e.YAML()
				if err != nil {
					return err
				}
				_, err = c.stdout.Write(text)
				return err
			},
		},
	)
	ofSweep := false
	schema := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema that editors complete with",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			text := config.Schema()
			if ofSweep {
				text = config.SweepSchema()
			}
			_, err := c.stdout.Write(text)
			return err
		},
	}
	schema.Flags().BoolVar(&ofSweep, "sweep", false, "that of a sweep's file")
	group.AddCommand(schema)
	return group
}
