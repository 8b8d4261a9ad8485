package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"latent/pkg/config"
	"latent/pkg/experiment"
	"latent/pkg/message"
	"latent/pkg/rundir"
)

func newRun(c *console) *cobra.Command {
	var out, resume, from string
	var longer experiment.Longer
	var seeds int
	var dryRun, asJSON bool
	cmd := &cobra.Command{
		Use:   "run CONFIG [key=value …]",
		Short: "Train, evaluate and draw an experiment",
		Long: `Run trains an experiment, measures it on held-out images, draws a sample picture, and leaves a folder with all of it.

Overrides change values of the config: train.epochs=3 model.encoder=[256,64] corrupt.noise_factor=0.5

With --resume, a run that was stopped goes on under the config.yaml in its folder. Changed since, it is refused, but for what
does not change the training: name, output, tracking, evaluate but for its seed and corrupt,
train.keep_checkpoints, data.resident, and where the weights of train.from lie.

With --resume RUN --epochs N, a run goes on to N epochs, also one that is done. Where its learning rate is constant, it ends with the bits of
a run that had N from the start. A cosine has reached 0: --schedule restart begins it again, and --schedule extend goes on as one over N epochs has
it there. The run's config.yaml and manifest say what was done. Of a trial of a sweep, a copy goes on, as a run of its own.

With --from RUN, or train.from in the config, the model begins with the weights of another run, or of a file of safetensors or PyTorch
(torch.save(model.state_dict(), FILE)), as far as names and shapes, or layers, fit; what was taken is told. train.freeze keeps layers as they are,
and train.rates gives layers learning rates of their own.`,
		Example: "  latent run configs/mnist/denoise.yaml seed=7\n  latent run --resume runs/denoise/2026-11-24T10-15-30-7f3a\n  latent run --resume runs/denoise/2026-11-24T10-15-30-7f3a --epochs 20",
		Args:    cobra.ArbitraryArgs,
	}
	cmd.Flags().StringVar(&out, "out", "", "folder for all runs, instead of output.dir")
	cmd.Flags().IntVar(&seeds, "seeds", 1, "train so many runs together, with seed, seed+1, …, and print the means over them")
	cmd.Flags().StringVar(&resume, "resume", "", "go on with the run in this folder")
	cmd.Flags().IntVar(&longer.Epochs, "epochs", 0, "with --resume: train on to so many epochs in all, also where the run is done")
	cmd.Flags().StringVar(&longer.Schedule, "schedule", "", "with --epochs, of a learning rate that falls to the end: restart it, or extend it to the new end")
	cmd.Flags().StringVar(&from, "from", "", "begin with the weights of a run, or of a file, as train.from says")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "build everything and print layers, memory and steps, without training")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the run's folder and manifest as JSON at the end")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		options := experiment.Options{Log: c.stderr, Terminal: c.terminal(), Command: commandLine()}
		var runs []*rundir.Run
		var err error
		switch {
		case resume == "" && longer != (experiment.Longer{}):
			return usageError{errors.New("--epochs and --schedule go with --resume RUN; of a new run, write train.epochs=20 and train.schedule=cosine")}
		case cmd.Flags().Changed("epochs") && longer.Epochs < 1:
			return usageError{fmt.Errorf("--epochs=%d: want 1 or more", longer.Epochs)}
		case resume != "" && (len(args) > 0 || out != "" || from != "" || dryRun || cmd.Flags().Changed("seeds")):
			return usageError{errors.New("--resume takes the run's own config; leave CONFIG, overrides, --out, --from, --seeds and --dry-run out")}
		case resume != "":
			if resume, err = pathOf(resume); err != nil {
				return err
			}
			options.Longer = longer
			runs, err = experiment.Resume(cmd.Context(), resume, options)
		case len(args) == 0:
			return usageError{fmt.Errorf("which config? for example: %s run configs/quickstart.yaml", program())}
		case seeds < 1 || seeds > maxSeeds:
			return usageError{fmt.Errorf("--seeds=%d: want 1 to %d", seeds, maxSeeds)}
		default:
			overrides := args[1:]
			if from != "" {
				path, err := pathOf(from)
				if err != nil {
					return err
				}
				overrides = append(slices.Clone(overrides), "train.from="+strconv.Quote(path))
			}
			e, loadErr := config.Load(args[0], overrides...)
			if loadErr != nil {
				return loadErr
			}
			if out != "" {
				e.Output.Dir = out
			}
			if dryRun {
				return printPlan(cmd, c, e, seeds, options, asJSON)
			}
			all := make([]int64, seeds)
			for i := range all {
				all[i] = e.Seed + int64(i)
			}
			runs, err = experiment.RunSeeds(cmd.Context(), e, all, options)
		}
		if len(runs) > 0 && asJSON {
			err = errors.Join(err, printRuns(c, runs))
		}
		return err
	}
	return cmd
}

// maxSeeds bounds --seeds: compiling takes longer with each.
const maxSeeds = 256

// commandLine is how this process was called, for a shell.
func commandLine() string {
	return message.Command(append([]string{program()}, os.Args[1:]...)...)
}

func printPlan(cmd *cobra.Command, c *console, e *config.Experiment, seeds int, options experiment.Options, asJSON bool) error {
	plan, err := experiment.Dry(cmd.Context(), e, seeds, options)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(c, plan)
	}
	fmt.Fprint(c.stdout, plan)
	return nil
}

// runJSON is where a run lies and what came out.
type runJSON struct {
	Path     string           `json:"path"`
	Manifest *rundir.Manifest `json:"manifest"`
}

// printRuns prints a run; or several with their summary.
func printRuns(c *console, runs []*rundir.Run) error {
	var all []runJSON
	for _, run := range runs {
		manifest, err := run.Manifest()
		if err != nil {
			return err
		}
		all = append(all, runJSON{run.Path, manifest})
	}
	if len(all) == 1 {
		return printJSON(c, all[0])
	}
	summary, err := experiment.Summarise(runs)
	if err != nil {
		return err
	}
	return printJSON(c, struct {
		Summary *experiment.Summary `json:"summary"`
		Runs    []runJSON           `json:"runs"`
	}{summary, all})
}

func printJSON(c *console, value any) error {
	encoder := json.NewEncoder(c.stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
