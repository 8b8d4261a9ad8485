package command

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"latent/pkg/config"
)

func newConfig(c *console) *cobra.Command {
	group := &cobra.Command{Use: "config", Short: "Check and show configs"}
	group.AddCommand(
		newConfigCheck(c),
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

func newConfigCheck(c *console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "check CONFIG [key=value …]",
		Short:   "Find all mistakes of a config",
		Example: "  latent config check configs/quickstart.yaml train.epochs=3",
		Args:    cobra.MinimumNArgs(1),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a list of the mistakes as JSON, with file, line, column and key")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		_, err := config.Load(args[0], args[1:]...)
		var problems config.Problems
		if asJSON && (err == nil || errors.As(err, &problems)) {
			err = errors.Join(err, printProblems(c, problems))
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(c.stderr, "%s: no mistakes\n", args[0])
		return nil
	}
	return cmd
}

// problemJSON is a mistake in a config, for programs.
type problemJSON struct {
	File    string `json:"file"`             // or "override KEY=VALUE"
	Line    int    `json:"line,omitempty"`   // from 1; none where there is no such place
	Column  int    `json:"column,omitempty"` // the same
	Key     string `json:"key,omitempty"`
	Message string `json:"message"`
}

func printProblems(c *console, problems config.Problems) error {
	all := make([]problemJSON, len(problems))
	for i, p := range problems {
		all[i] = problemJSON(p)
	}
	return printJSON(c, all)
}
