package command

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"latent/pkg/config"
	"latent/pkg/evaluate"
	"latent/pkg/experiment"
	"latent/pkg/model"
	"latent/pkg/picture"
	"latent/pkg/query"
	"latent/pkg/runs"
	"latent/pkg/sweep"
)

func newCompletion(c *console) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	cmd := &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print a script that lets a shell complete commands, keys of configs, and runs",
		Long: `Completion prints a script for a shell. Keys of the config are completed a level at a time, those that the file's kinds have, then
their values.

  bash  source <(latent completion bash)      in ~/.bashrc; wants the package bash-completion
  zsh   source <(latent completion zsh)       in ~/.zshrc, behind compinit
  fish  latent completion fish | source       in ~/.config/fish/config.fish`,
		Example:   "  latent completion bash > /etc/bash_completion.d/latent",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: shells,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var script bytes.Buffer
		var err error
		switch root := cmd.Root(); args[0] {
		case "bash":
			err = root.GenBashCompletionV2(&script, true)
			fmt.Fprintf(&script, bashUnquote+bashEquals, root.Name())
		case "zsh":
			err = root.GenZshCompletion(&script)
		case "fish":
			err = root.GenFishCompletion(&script, true)
		case "powershell":
			err = root.GenPowerShellCompletionWithDesc(&script)
		}
		if err != nil {
			return err
		}
		safe, err := safely(args[0], cmd.Root().Name(), script.String())
		if err != nil {
			return err
		}
		_, err = io.WriteString(c.stdout, safe)
		return err
	}
	return cmd
}

// bashEquals mends what cobra's function for bash does with key=value: bash ends words at "=", so that only what is behind it must be
// handed back, which cobra knows of flags alone.
//
// cobra's function calls those of the package bash-completion: where they are missing, a line says so, once a shell, and files are completed.
const bashEquals = `
__%[1]s_complete()
{
    if ! declare -F _init_completion >/dev/null && ! declare -F _get_comp_words_by_ref >/dev/null; then
        if [[ -z ${__%[1]s_told-} ]]; then
            __%[1]s_told=1
            printf '\n%[1]s: to complete its commands, install the package bash-completion and start a new shell\n' >&2
        fi
        return
    fi
    __start_%[1]s "$@"
    local word="${COMP_LINE:0:COMP_POINT}"
    word="${word##* }"
    if [[ $word == [!-]*=* && $COMP_WORDBREAKS == *=* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${word%%%%=*}="}")
    fi
}
complete -o default -o nospace -F __%[1]s_complete %[1]s
`

// completer lists how the word after some arguments may go on.
type completer = cobra.CompletionFunc

// yamlFile completes a config's path.
var yamlFile = []cobra.Completion{"yaml", "yml"}

// configThenKeys completes CONFIG [key=value …]; before it stand so many arguments of other kinds.
func configThenKeys(before int, keys func(path string, overrides []string, word string) []config.Completion) completer {
	return func(_ *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		switch {
		case len(args) < before:
			return nil, cobra.ShellCompDirectiveDefault
		case len(args) == before:
			return yamlFile, cobra.ShellCompDirectiveFilterFileExt
		}
		return keysOf(keys(args[before], args[before+1:], word))
	}
}

// keysOf hands keys and values to the shell: behind a value the word ends, behind a key it goes on.
func keysOf(found []config.Completion) ([]cobra.Completion, cobra.ShellCompDirective) {
	directive := cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	var words []cobra.Completion
	for _, completion := range found {
		words = append(words, cobra.CompletionWithDesc(completion.Text, completion.Help))
		if strings.HasSuffix(completion.Text, ".") || strings.HasSuffix(completion.Text, "=") {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
	}
	return words, directive
}

// runThenKeys completes RUN [key=value …] with the keys of the run's config.
func runThenKeys(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return anyRun(cmd, args, word)
	}
	entry, err := findRun(args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	run, err := entry.Open()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return keysOf(config.Complete(run.ConfigPath(), args[1:], word))
}

// oneRun completes a RUN that nothing follows; runThenFiles one before files.
func oneRun(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return anyRun(cmd, args, word)
}

func runThenFiles(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return anyRun(cmd, args, word)
}

// maxShown bounds the runs that a shell is told of: their manifests are read while somebody waits.
const maxShown = 100

// anyRun completes a run: its path, or its name or TIME-ID below runs/.
func anyRun(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	words, directive := runFolders(cmd, args, word)
	if strings.ContainsRune(word, filepath.Separator) {
		return words, directive
	}
	entries, _, _ := runs.List(runsDir) // nothing to complete with where it fails
	var called []called
	for _, e := range entries {
		called = append(called, calledBy(e.Manifest.Name, e.ID(), inBrief(e)))
	}
	return withNames(startingWith(word, called), words, directive)
}

// anySweep is anyRun for sweeps.
func anySweep(_ *cobra.Command, _ []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	words, directive := foldersBelow(sweepsDir, word, func(path string) (string, bool) {
		entries, err := sweep.List(path)
		return "", err == nil && len(entries) == 1 && entries[0].Path == filepath.Clean(path)
	})
	if strings.ContainsRune(word, filepath.Separator) {
		return words, directive
	}
	entries, _ := sweep.List(sweepsDir)
	var called []called
	for _, e := range entries {
		called = append(called, calledBy(e.Name(), e.ID(), e.Record.Started.Format(time.DateTime)))
	}
	return withNames(startingWith(word, called), words, directive)
}

// oneSweep completes a SWEEP that nothing follows.
func oneSweep(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return anySweep(cmd, args, word)
}

// called is what a person may call a run or a sweep.
type called struct{ name, timeID, id, help string }

func calledBy(name, timeID, help string) called {
	return called{name, timeID, timeID[strings.LastIndexByte(timeID, '-')+1:], help}
}

// withNames puts names before folders.
func withNames(names, folders []cobra.Completion, directive cobra.ShellCompDirective) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(names) > 0 && directive == cobra.ShellCompDirectiveFilterDirs { // under which a shell takes words for folders
		directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
	return append(names, folders...), directive
}

// startingWith lists the names that start with a word, each once, with the help of the newest; and where something is typed, what else of
// them does.
func startingWith(word string, all []called) []cobra.Completion {
	var words []cobra.Completion
	seen := map[string]bool{}
	for _, c := range all[:min(len(all), maxShown)] {
		for i, text := range []string{c.name, c.id, c.timeID} {
			if strings.HasPrefix(text, word) && !seen[text] && (i == 0 || word != "") {
				words = append(words, cobra.CompletionWithDesc(text, c.help))
				seen[text] = true
				break
			}
		}
	}
	return words
}

// runFolders completes the path of a run's folder, with what came out.
func runFolders(_ *cobra.Command, _ []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return foldersBelow(runsDir, word, func(path string) (string, bool) {
		entry, err := runs.Open(path)
		if err != nil {
			return "", false
		}
		return inBrief(entry), true
	})
}

// foldersBelow completes the path of a folder that known tells of: those in the folder that the word has, or in usual, the newest first. Of others the
// path goes on.
func foldersBelow(usual, word string, known func(path string) (help string, found bool)) ([]cobra.Completion, cobra.ShellCompDirective) {
	dir, start := filepath.Split(word)
	if dir == "" && !strings.HasPrefix(usual, start) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	if dir == "" {
		dir = usual + string(filepath.Separator)
		start = ""
	}
	children, err := os.ReadDir(dir)
	if err != nil {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	directive := cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	var words []cobra.Completion
	slices.Reverse(children) // names begin with the time
	for _, child := range children {
		if !child.IsDir() || !strings.HasPrefix(child.Name(), start) || start == "" && strings.HasPrefix(child.Name(), ".") || len(words) == maxShown {
			continue
		}
		path := dir + child.Name()
		help, found := known(path)
		if !found {
			words = append(words, path+string(filepath.Separator))
			directive |= cobra.ShellCompDirectiveNoSpace
			continue
		}
		words = append(words, cobra.CompletionWithDesc(path, help))
	}
	return words, directive
}

// cacheKeys completes keys of the cache.
func cacheKeys(_ *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	_, entries, _ := openCache() // nothing to complete with where it fails
	var words []cobra.Completion
	for _, e := range entries {
		if key := e.Key[:keyShown]; strings.HasPrefix(key, word) && !slices.Contains(args, key) {
			words = append(words, cobra.CompletionWithDesc(key, describeEntry(e)))
		}
	}
	return words, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// inBrief is a run in a few words.
func inBrief(e runs.Entry) string {
	text := string(e.State)
	if psnr, found := e.Figure("psnr"); found && !math.IsNaN(psnr) {
		text += fmt.Sprintf(", PSNR %.2f dB", psnr)
	}
	return text
}

// completeFlag completes a flag's value with one of some words.
func completeFlag(cmd *cobra.Command, flag string, words ...string) {
	completeFlagBy(cmd, flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// completeFlagBy completes a flag's value.
func completeFlagBy(cmd *cobra.Command, flag string, complete completer) {
	// It fails for a flag that there is not, or twice: mistakes of this package.
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(fmt.Errorf("%s --%s: %w", cmd.Name(), flag, err))
	}
}

// complete adds completion to the commands below the root.
func complete(root *cobra.Command) {
	keys, sweepKeys := configThenKeys(0, config.Complete), configThenKeys(0, config.CompleteSweep)
	folders := func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	for path, complete := range map[string]completer{
		"run": keys, "config check": keys, "config show": keys, "sweep": sweepKeys, "import": configThenKeys(1, config.Complete),
		"eval": runThenKeys, "denoise": runThenFiles, "encode": runThenFiles, "score": runThenFiles, "decode": runThenFiles, "generate": oneRun, "export": oneRun, "verify": oneRun,
		"runs show": oneRun, "runs rm": anyRun, "runs tag": anyRun, "runs note": oneRun, "diff": anyRun, "compare": anyRun, "track sync": runFolders, "runs list": folders, "serve": folders, "runs gc": folders,
		"sweep list": folders, "sweep status": oneSweep, "sweep best": oneSweep, "sweep resume": oneSweep, "sweep rerun": oneSweep, "sweep export": oneSweep, "sweep compare": anySweep,
		"data cache clear": cacheKeys,
	} {
		find(root, path).ValidArgsFunction = complete
	}
	for path, complete := range map[string]completer{"run": anyRun, "sweep": anySweep} {
		completeFlagBy(find(root, path), "resume", complete)
	}
	completeFlagBy(find(root, "worker"), "sweep", anySweep)
	var states []string
	for _, state := range runs.States {
		states = append(states, string(state))
	}
	completeFlag(find(root, "generate"), "show", append(slices.Clone(evaluate.Pictures), "all")...)
	completeFlag(find(root, "generate"), "sampler", experiment.Samplers()...)
	completeFlag(find(root, "score"), "score", experiment.ScoreKinds...)
	completeFlag(find(root, "denoise"), "fit", "tile", "resize")
	completeFlag(find(root, "denoise"), "format", picture.Writes()...)
	completeFlag(find(root, "sweep"), "launcher", "local", "slurm")
	completeFlag(find(root, "sweep resume"), "launcher", "local", "slurm")
	completeFlag(find(root, "runs list"), "state", states...)
	completeFlag(find(root, "runs list"), "sort", append(query.Known(), "psnr", "ssim", "mse", "mae", "loss")...)
	completeFlag(find(root, "runs list"), "columns", append(query.Known(), "psnr", "ssim", "mse", "mae", "loss")...)
	completeFlag(find(root, "runs gc"), "by", "psnr", "ssim", "mse", "mae", "loss")
	completeFlag(find(root, "init"), "kind", slices.Sorted(maps.Keys(model.Kinds))...)
	completeFlag(find(root, "init"), "from", configNames()...)
	completeFlag(find(root, "export"), "format", slices.Sorted(maps.Keys(exportFormats))...)
}

// find returns a command by the words behind latent.
func find(root *cobra.Command, path string) *cobra.Command {
	cmd, rest, err := root.Find(strings.Fields(path))
	if err != nil || len(rest) > 0 {
		panic(fmt.Errorf("no command %q", path)) // a mistake of this package
	}
	return cmd
}
