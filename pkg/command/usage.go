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
		cmd.SuggestionsMinimumDistance = 2
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
				if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
					what += " did you mean " + near[0] + "?"
				}
			}
			return usageError{fmt.Errorf("%s %s; see %s --help", what, strings.Join(names, ", "), cmd.CommandPath())}
		}
	}
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
