package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageError is a command line that cannot be understood.
type usageError struct{ error }

// requireArgs makes wrong arguments of every command below a usageError, and a group without a subcommand an error that
// lists them.
func requireArgs(cmd *cobra.Command) {
	for _, child := range cmd.Commands() {
		requireArgs(child)
	}
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return argsError(cmd, args)
			}
			return nil
		}
	}
	if cmd.HasSubCommands() && cmd.RunE == nil {
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			var names []string
			for _, child := range cmd.Commands() {
				if child.IsAvailableCommand() {
					names = append(names, child.Name())
				}
			}
			what := "which command?"
			if len(args) > 0 {
				what = fmt.Sprintf("unknown command %q;", args[0])
				if hint := suggestion(cmd, args[0]); hint != "" {
					what += " " + hint
				}
			}
			return usageError{fmt.Errorf("%s %s; see %s --help", what, strings.Join(names, ", "), cmd.CommandPath())}
		}
	}
}

// meant are words that other tools have, or other groups here, and the commands that are meant by them: those in the group where
// the word was tried, or else those below the program itself.
var meant = map[string][]string{
	"add": {"install", "import"}, "benchmark": {"eval"}, "clean": {"clear", "gc", "runs gc"}, "complete": {"completion"}, "create": {"init"},
	"delete": {"rm", "clear", "runs rm"}, "describe": {"show", "runs show"}, "detect": {"score"}, "download": {"fetch", "data fetch"}, "embed": {"encode"},
	"evaluate": {"eval"}, "finetune": {"run"}, "fit": {"run"}, "get": {"show", "fetch", "data fetch"}, "hpo": {"sweep"}, "hyperopt": {"sweep"},
	"infer": {"denoise", "score"}, "inference": {"denoise", "score"}, "info": {"show", "runs show"}, "inspect": {"show", "runs show"}, "latents": {"encode"},
	"lint": {"check", "config check"}, "list": {"runs list"}, "load": {"import"}, "ls": {"list", "runs list"}, "mlflow": {"track sync"}, "new": {"init"},
	"onnx": {"export"}, "optimise": {"sweep"}, "optimize": {"sweep"}, "plot": {"generate"}, "predict": {"denoise", "score"}, "ps": {"list", "runs list"},
	"prune": {"gc", "runs gc"}, "reconstruct": {"denoise"}, "remove": {"rm", "clear", "runs rm"}, "reproduce": {"verify"}, "restore": {"denoise"},
	"resume": {"run"}, "rm": {"clear", "runs rm"}, "sample": {"generate"}, "schema": {"config schema"}, "search": {"sweep"}, "setup": {"install", "init"},
	"show": {"runs show"}, "start": {"run"}, "status": {"runs list"}, "sync": {"track sync"}, "test": {"check", "eval"}, "train": {"run"}, "tune": {"sweep"},
	"board": {"serve"}, "dashboard": {"serve"}, "gui": {"serve"}, "server": {"serve"}, "tensorboard": {"serve"}, "ui": {"serve"}, "view": {"serve"}, "web": {"serve"},
	"upload": {"track sync"}, "validate": {"check", "config check"},
}

// suggestion says what is most likely meant by a command that a group does not have; "" where nobody knows.
func suggestion(group *cobra.Command, word string) string {
	word = strings.ToLower(word)
	var here, elsewhere []string
	for _, path := range meant[word] {
		if child, rest, err := group.Find(strings.Fields(path)); err == nil && len(rest) == 0 && child != group {
			here = append(here, path)
		} else if _, rest, err := group.Root().Find(strings.Fields(path)); err == nil && len(rest) == 0 {
			elsewhere = append(elsewhere, group.Root().Name()+" "+path)
		}
	}
	if len(here) == 0 {
		here = elsewhere
	}
	if len(here) > 0 {
		return "did you mean " + strings.Join(here, " or ") + "?"
	}
	// A slip of the fingers is one letter in three.
	group.SuggestionsMinimumDistance = min(2, max(1, len(word)/3))
	if near := group.SuggestionsFor(word); len(near) > 0 {
		return "did you mean " + near[0] + "?"
	}
	return ""
}

// argsError says what was found in the place of the arguments that a command wants.
func argsError(cmd *cobra.Command, args []string) error {
	for _, arg := range args {
		if len(cmd.ValidArgs) > 0 && !slices.Contains(cmd.ValidArgs, arg) {
			return usageError{fmt.Errorf("unknown argument %q, want one of %s", arg, strings.Join(cmd.ValidArgs, ", "))}
		}
	}
	found := fmt.Sprintf("%d arguments", len(args))
	switch len(args) {
	case 0:
		found = "no argument"
	case 1:
		found = "1 argument"
	}
	_, wanted, _ := strings.Cut(cmd.Use, " ")
	text := strings.TrimSpace(fmt.Sprintf("%s, want %s %s", found, cmd.CommandPath(), wanted))
	if example, _, _ := strings.Cut(strings.TrimSpace(cmd.Example), "\n"); example != "" {
		text += "; for example: " + example
	}
	return usageError{errors.New(text)}
}

// wantedValues says what a flag of a type takes.
var wantedValues = map[string]string{
	"int": "a whole number", "int64": "a whole number", "float64": "a number", "bool": "true or false", "string": "a text",
}

// flagError tells of a flag that cannot be read.
func flagError(cmd *cobra.Command, err error) error {
	if invalid := (*pflag.InvalidValueError)(nil); errors.As(err, &invalid) {
		flag := invalid.GetFlag()
		return usageError{fmt.Errorf("--%s=%s: want %s, such as --%s=%s", flag.Name, invalid.GetValue(), wantedValues[flag.Value.Type()], flag.Name, flag.DefValue)}
	}
	if missing := (*pflag.ValueRequiredError)(nil); errors.As(err, &missing) {
		flag := missing.GetFlag()
		return usageError{fmt.Errorf("--%s: nothing after it, want %s; see %s --help", flag.Name, wantedValues[flag.Value.Type()], cmd.CommandPath())}
	}
	return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
}
