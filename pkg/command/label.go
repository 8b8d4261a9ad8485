package command

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"latent/pkg/experiment"
	"latent/pkg/query"
	"latent/pkg/rundir"
)

// labelsJSON are the labels of a run, for programs.
type labelsJSON struct {
	Path string   `json:"path"`
	Tags []string `json:"tags"`
	Note string   `json:"note,omitempty"`
}

func newRunsTag(c *console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "tag RUN… +WORD… -WORD…",
		Short: "Give runs tags, or take them away",
		Long: `Tag gives runs the tags with a + before them, and takes away those with a -. A tag is 1 to 64 letters, digits, '-', '_' and '.'.

Tags lie in tags.json in the run's folder, and can be changed while it runs. latent runs list shows them, and chooses by them:
--where 'good in tags'.`,
		Example:            "  latent runs tag 7f3a +good\n  latent runs tag mnist-denoise 09bc +paper -draft",
		DisableFlagParsing: true, // a - begins what is taken away
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the runs' tags and notes as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var names, add, remove []string
		for _, arg := range args {
			sign, word := "", arg
			if strings.HasPrefix(arg, "+") || strings.HasPrefix(arg, "-") {
				sign, word = arg[:1], arg[1:]
			}
			switch {
			case arg == "--help", arg == "-h":
				return cmd.Help()
			case arg == "--json":
				asJSON = true
				continue
			case strings.HasPrefix(arg, "--"):
				return usageError{fmt.Errorf("unknown flag: %s; to take a tag away, write -WORD", arg)}
			case sign == "":
				names = append(names, arg)
				continue
			}
			if err := rundir.CheckTag(word); err != nil {
				return usageError{err}
			}
			if sign == "+" {
				add = append(add, word)
			} else {
				remove = append(remove, word)
			}
		}
		if len(names) == 0 || len(add)+len(remove) == 0 {
			return usageError{fmt.Errorf("which runs, and which tags? for example: %s runs tag 7f3a +good", program())}
		}
		return label(c, names, asJSON, func(l *rundir.Labels) { l.Tag(add, remove) })
	}
	return cmd
}

func newRunsNote(c *console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "note RUN TEXT",
		Short: "Write a note to a run, in the place of the one it has",
		Long: `Note writes a note to a run; an empty one takes it away. It lies in tags.json in the run's folder, has at most 4096 bytes, and is
shown by latent runs show.`,
		Example: "  latent runs note 7f3a 'the figure of the talk'",
		Args:    cobra.ExactArgs(2),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the run's tags and note as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return label(c, args[:1], asJSON, func(l *rundir.Labels) { l.Note = args[1] })
	}
	return cmd
}

// label changes the labels of runs, after all of them were found and read.
func label(c *console, names []string, asJSON bool, change func(*rundir.Labels)) error {
	var found []*rundir.Run
	var changed []labelsJSON
	for _, name := range names {
		entry, err := findRun(name)
		if err != nil {
			return err
		}
		run := &rundir.Run{Path: entry.Path}
		labels, err := run.Labels()
		if err != nil {
			return experiment.InputError{Err: err}
		}
		change(&labels)
		if err := labels.Check(); err != nil {
			return experiment.InputError{Err: fmt.Errorf("%s: %w", run.Path, err)}
		}
		found = append(found, run)
		changed = append(changed, labelsJSON{run.Path, append([]string{}, labels.Tags...), labels.Note})
	}
	var failed error
	for i, run := range found {
		of := changed[i]
		if err := run.WriteLabels(rundir.Labels{Tags: of.Tags, Note: of.Note}); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		r := query.Record{Labels: rundir.Labels{Tags: of.Tags, Note: of.Note}}
		fmt.Fprintf(c.stderr, "%s  tags %s  note %s\n", run.Path, fieldText("tags", r.Value("tags")), fieldText("note", r.Value("note")))
	}
	if asJSON {
		failed = errors.Join(failed, printJSON(c, changed))
	}
	return failed
}
