// Package command is the command latent: flags, exit statuses, and what goes to
// which stream.
//
//	func main() { command.Main() }
//
// is all of it, with the kinds that Latent has. A program of one's own that adds
// kinds first has every command for them too:
//
//	func main() {
//		config.AddKind(corrupt.Kinds, "scratches", func() corrupt.Corruption { return &Scratches{Count: 3} })
//		command.Main()
//	}
//
// What a person reads goes to standard error, results for programs (--json,
// config show, config schema) to standard output. Exit status: 0 done; 1 failed
// while running; 2 the command line, the config or the input is wrong; 130
// interrupted, with the state saved.
//
// What is not here: running an experiment (pkg/experiment) or a sweep
// (pkg/sweep), which any Go program can do without this.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"latent/pkg/config"
	"latent/pkg/experiment"
	"latent/pkg/message"
)

// Main runs the command line of this process, and ends it.
func Main() { os.Exit(Run(os.Args[1:], os.Stdout, os.Stderr)) }

// Run executes a command line, without the program's name, and returns its exit status. SIGINT and SIGTERM of the process
// interrupt it.
func Run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal ends the run after its window; from then on signals have their usual effect, so that a second one
	// ends the process at once.
	context.AfterFunc(ctx, stop)

	c := newConsole(stdout, stderr)
	root := newRoot(c)
	root.SetArgs(args)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	err := root.ExecuteContext(ctx)
	if err != nil {
		if c.terminal() {
			message.Control(c.stderr, startOfLine) // a line of progress may stand there
		}
		fmt.Fprintf(c.stderr, "%s\n", errorText(err))
	}
	return exitStatus(err)
}

// Exit statuses.
const (
	exitDone        = 0
	exitFailed      = 1
	exitInput       = 2
	exitInterrupted = 130
)

// exitStatus chooses the status of an error; it is the only place that does.
func exitStatus(err error) int {
	var usage usageError
	var input experiment.InputError
	var problems config.Problems
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, experiment.ErrInterrupted), errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &usage), errors.As(err, &input), errors.As(err, &problems):
		return exitInput
	}
	return exitFailed
}

// errorText is what a person reads of an error. A config's problems begin with their own place.
func errorText(err error) string {
	var problems config.Problems
	if errors.As(err, &problems) {
		return problems.Error()
	}
	if errors.Is(err, context.Canceled) && !errors.Is(err, experiment.ErrInterrupted) {
		return program() + ": interrupted, with nothing new to save"
	}
	return program() + ": " + err.Error()
}

// console is where the commands write. Standard error, and standard output where it is a terminal, are without control characters but those
// of message.Control: names from files are in most messages. What a program reads from standard output is as it is.
type console struct{ stdout, stderr io.Writer }

func newConsole(stdout, stderr io.Writer) *console {
	if isTerminal(stdout) {
		stdout = message.NewWriter(stdout)
	}
	return &console{stdout, message.NewWriter(stderr)}
}

// isTerminal says whether a writer is a terminal, or leads to one.
func isTerminal(w io.Writer) bool {
	file := fileOf(w)
	return file != nil && term.IsTerminal(int(file.Fd()))
}

// fileOf is the file that a writer leads to; nil where it is none.
func fileOf(w io.Writer) *os.File {
	if filter, is := w.(*message.Writer); is {
		w = filter.Unwrap()
	}
	file, _ := w.(*os.File)
	return file
}

// progress is where progress bars go: standard error if it is a terminal, else nowhere.
func (c *console) progress() io.Writer {
	if c.terminal() {
		return c.stderr
	}
	return nil
}

// terminal says whether standard error is one.
func (c *console) terminal() bool { return isTerminal(c.stderr) }

// answers says whether there is somebody to ask.
func (c *console) answers() bool { return term.IsTerminal(int(os.Stdin.Fd())) }

// confirm asks a question on a terminal. Where nobody can answer, the answer is no.
func (c *console) confirm(question string) bool {
	if !c.answers() {
		return false
	}
	fmt.Fprintf(c.stderr, "\n%s [y/N] ", question)
	var answer string
	fmt.Fscanln(os.Stdin, &answer)
	return strings.HasPrefix(strings.ToLower(answer), "y")
}

// program is the name that this program was called by: latent, or that of one with kinds of its own.
func program() string { return filepath.Base(os.Args[0]) }

// rename puts the program's name into the examples of all commands.
func rename(cmd *cobra.Command) {
	cmd.Example = strings.ReplaceAll(cmd.Example, "  latent ", "  "+program()+" ")
	for _, child := range cmd.Commands() {
		rename(child)
	}
}

func newRoot(c *console) *cobra.Command {
	root := &cobra.Command{
		Use:           program(),
		Short:         "Run autoencoder experiments, compiled through XLA",
		Long:          "Latent trains, measures and draws autoencoders that YAML files declare, compiled through XLA.",
		Example:       "  latent run configs/quickstart.yaml\n  latent run configs/mnist/denoise.yaml seed=7 train.epochs=3",
		Version:       experiment.Version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
	}
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newRun(c), newEval(c), newDenoise(c), newGenerate(c), newEncode(c), newDecode(c), newMap(c), newScore(c), newExport(c), newImport(c), newVerify(c), newSweep(c), newWorker(c),
		newRuns(c), newDiff(c), newServe(c), newCompare(c), newTrack(c), newInit(c), newConfig(c), newData(c), newBackend(c), newCompletion(c), newMan(c))
	complete(root)
	requireArgs(root)
	rename(root)
	return root
}
