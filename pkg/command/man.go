package command

import (
	"fmt"
	"os"
	"regexp"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"latent/pkg/experiment"
)

// newMan is for who makes packages: people read the pages with man.
func newMan(c *console) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the man pages, one for each command, into a folder",
		Long:    "Man writes the man pages, one for each command, into a folder. Their date is that of SOURCE_DATE_EPOCH where it is set.",
		Example: "  latent man /usr/local/share/man/man1",
		Args:    cobra.ExactArgs(1),
		Hidden:  true,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := os.MkdirAll(args[0], 0o755); err != nil {
			return experiment.InputError{Err: err}
		}
		root := cmd.Root()
		root.DisableAutoGenTag = true // with the date of the day, no two builds would be the same
		header := &doc.GenManHeader{Title: "LATENT", Section: "1", Source: "Latent " + experiment.Version(), Manual: "Latent"}
		if os.Getenv("SOURCE_DATE_EPOCH") == "" {
			now := time.Now()
			header.Date = &now
		}
		asMarkdown(root)
		if err := doc.GenManTree(root, header, args[0]); err != nil {
			return experiment.InputError{Err: fmt.Errorf("write man pages: %w", err)}
		}
		fmt.Fprintf(c.stderr, "wrote the man pages to %s\n", args[0])
		return nil
	}
	return cmd
}

// asMarkdown indents the tables in the commands' texts as Markdown wants them, of which the pages are made.
func asMarkdown(cmd *cobra.Command) {
	cmd.Long = regexp.MustCompile("(?m)^  ").ReplaceAllString(cmd.Long, "    ")
	for _, child := range cmd.Commands() {
		asMarkdown(child)
	}
}
