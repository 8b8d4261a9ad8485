package command

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// leaves calls a function with each command that has none below it.
func leaves(cmd *cobra.Command, yield func(*cobra.Command)) {
	if !cmd.HasSubCommands() {
		yield(cmd)
	}
	for _, child := range cmd.Commands() {
		leaves(child, yield)
	}
}

func testRoot() *cobra.Command {
	os.Args[0] = "latent" // by which the commands are named
	return newRoot(&console{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}})
}

// Every command whose result a program would read has --json.
func TestJSONEverywhere(t *testing.T) {
	without := map[string]string{
		"latent config show":   "prints YAML, which programs read",
		"latent config schema": "prints JSON anyway",
		"latent completion":    "prints a script",
		"latent init":          "writes the file that it was told to",
		"latent man":           "writes files into the folder that it was told to",
		"latent serve":         "serves JSON at /api/runs",
		"latent worker":        "has no result of its own: the sweep's is latent sweep status --json",
	}
	leaves(testRoot(), func(cmd *cobra.Command) {
		has := cmd.Flags().Lookup("json") != nil
		if reason, exempt := without[cmd.CommandPath()]; has == exempt {
			t.Errorf("%s: --json is there: %v; exempt for the reason %q", cmd.CommandPath(), has, reason)
		}
		delete(without, cmd.CommandPath())
	})
	if len(without) > 0 {
		t.Errorf("there are no commands %v", without)
	}
}

// Every command says what it does, and those with arguments show how they are called.
func TestHelp(t *testing.T) {
	leaves(testRoot(), func(cmd *cobra.Command) {
		if cmd.Short == "" {
			t.Errorf("%s: no line of help", cmd.CommandPath())
		}
		_, arguments, _ := strings.Cut(cmd.Use, " ")
		if arguments != "" && cmd.Example == "" && len(cmd.ValidArgs) == 0 {
			t.Errorf("%s %s: no example", cmd.CommandPath(), arguments)
		}
		for line := range strings.Lines(cmd.Example) {
			if line != "" && !strings.HasPrefix(line, "  "+cmd.CommandPath()+" ") && !strings.HasPrefix(line, "  latent ") {
				t.Errorf("%s: the example %q is not a call of it", cmd.CommandPath(), line)
			}
		}
	})
}

// The man pages are roff that a renderer takes, one for each command, the same each time.
func TestManPages(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1800000000")
	root := testRoot()
	write := func() string {
		dir := filepath.Join(t.TempDir(), "man1")
		if status := Run([]string{"man", dir}, &bytes.Buffer{}, &bytes.Buffer{}); status != 0 {
			t.Fatalf("exit status %d", status)
		}
		return dir
	}
	dir, again := write(), write()
	leaves(root, func(cmd *cobra.Command) {
		if cmd.Hidden {
			return
		}
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1"
		page, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			return
		}
		if !bytes.Contains(page, []byte(`"1" "Jan 2027"`)) {
			t.Errorf("%s: not dated January 2027", name)
		}
		if other, err := os.ReadFile(filepath.Join(again, name)); err != nil || !bytes.Equal(page, other) {
			t.Errorf("%s: another page the second time", name)
		}
	})
	if _, err := exec.LookPath("man"); err != nil {
		t.Skip("SKIPPED: man is not installed, and so the pages are not rendered")
	}
	cmd := exec.Command("man", "--warnings", "-l", filepath.Join(dir, "latent-runs-gc.1"))
	cmd.Env = append(os.Environ(), "MANWIDTH=120", "LC_ALL=C.UTF-8")
	var warnings bytes.Buffer
	cmd.Stderr = &warnings
	text, err := cmd.Output()
	if err != nil || warnings.Len() > 0 {
		t.Errorf("%v\n%s", err, warnings.String())
	}
	if !bytes.Contains(text, []byte("--failed            runs that failed or diverged; damaged ones are for latent runs rm, one by one\n")) {
		t.Errorf("the table of what gc removes is not a table:\n%s", text)
	}
}

// In real shells: what stands on the line, and what it goes on with when Tab is pressed.
func TestShells(t *testing.T) {
	if os.Getenv("LATENT_LONG") != "1" {
		t.Skip("SKIPPED: shells are started with LATENT_LONG=1")
	}
	completed := map[string]string{
		"latent verif":                            "latent verify",
		"latent run v":                            "latent run vae.yaml",
		"latent run vae.yaml model.beta_":         "latent run vae.yaml model.beta_warmup=",
		"latent run vae.yaml train.loss=h":        "latent run vae.yaml train.loss=huber",
		"latent run vae.yaml backend=xla:cpu see": "latent run vae.yaml backend=xla:cpu seed=",
		"latent sweep status --js":                "latent sweep status --json",
		"latent generate --sampler mix":           "latent generate --sampler mixture",
		"latent run vae.yaml seed=1 tr":           "latent run vae.yaml seed=1 tra", // train. and tracking.
	}
	start := map[string]string{
		"bash": "bash --rcfile bashrc -i",
		"zsh":  "ZDOTDIR=. zsh -i",
	}
	for shell, command := range start {
		t.Run(shell, func(t *testing.T) {
			dir := shellFolder(t, shell)
			cmd := exec.Command("script", "-qec", command, "/dev/null") // which has a terminal for it
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir, "TERM=dumb")
			keys, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			screen, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
			seen := bufio.NewReader(screen)
			await := func(text string) string {
				var all []byte
				for !bytes.HasSuffix(all, []byte(text)) {
					b, err := seen.ReadByte()
					if err != nil {
						t.Fatalf("waiting for %q, after %q: %v", text, all, err)
					}
					all = append(all, b)
				}
				return string(all)
			}
			await("READY> ")
			for line, want := range completed {
				// Tab completes; then the line is made one that prints itself.
				fmt.Fprintf(keys, "%s\t\x01echo GOT= \r", line)
				await("\nGOT= ")
				got := strings.TrimSpace(strings.ReplaceAll(await("\n"), "\r", ""))
				if got != want {
					t.Errorf("%q: got %q, want %q", line, got, want)
				}
				await("READY> ")
			}
			for _, line := range hostile {
				if shell == "zsh" && (strings.HasSuffix(line, ")") || strings.HasSuffix(line, ")x")) {
					continue // zsh's Tab expands the word that it stands behind, whatever the program
				}
				fmt.Fprintf(keys, "%s\t\t\x01\x0becho GOT= \r", line) // Tab, and the line is taken away
				await("\nGOT=")
				await("READY> ")
			}
			notRun(t, dir)
			fmt.Fprint(keys, "exit\r")
			if err := cmd.Wait(); err != nil {
				t.Errorf("%s: %v", shell, err)
			}
		})
	}
	t.Run("fish", func(t *testing.T) {
		dir := shellFolder(t, "fish")
		for line, want := range completed {
			cmd := exec.Command("fish", "-c", "latent completion fish | source; complete --do-complete $LINE")
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir, "LINE="+line)
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			head := line[:strings.LastIndexByte(line, ' ')+1]
			word, help, _ := strings.Cut(strings.TrimSpace(string(out)), "\t")
			if !strings.HasPrefix(head+word, want) {
				t.Errorf("%q: got %q, want %q", line, head+word, want)
			}
			if line == "latent run vae.yaml model.beta_" && !strings.HasPrefix(help, "beta_warmup is the number of epochs") {
				t.Errorf("%q: no explanation: %q", line, help)
			}
		}
		for _, line := range hostile {
			cmd := exec.Command("fish", "-c", "latent completion fish | source; complete --do-complete $LINE")
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir, "LINE="+line)
			cmd.Run() // some of the lines are none of fish's
		}
		notRun(t, dir)
	})
}

// hostile are lines on which Tab must not run anything: what they would run makes the file pwned.
var hostile = []string{
	"latent run $(touch pwned) ", "latent run `touch pwned` ", "latent run vae.yaml $(touch pwned)", "latent run '$(touch pwned)' tr", `latent run "$(touch pwned)" tr`,
	"latent run vae.yaml 'a' $(touch pwned) tr", "latent run vae.yaml;touch pwned; latent run ", "latent runs show hostile/", "latent runs show hostile/\\$", "latent run hostile/",
	"latent sweep status hostile/", "latent run --out=$(touch pwned) ", "latent run --out=$(touch pwned)x", "latent run <(touch pwned) ", "latent run ${x:=$(touch pwned)} ",
}

// notRun says that nothing of the hostile lines was run.
func notRun(t *testing.T, dir string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*pwned*"))
	if err != nil || len(found) > 0 {
		t.Errorf("completing ran what stands on the line: %v, %v", found, err)
	}
}

// shellFolder is a folder with latent, a config and what the shell reads first.
func shellFolder(t *testing.T, shell string) string {
	t.Helper()
	for _, needed := range []string{shell, "script"} {
		if _, err := exec.LookPath(needed); err != nil {
			t.Skipf("SKIPPED: %s is not installed", needed)
		}
	}
	const bashCompletion = "/usr/share/bash-completion/bash_completion"
	if _, err := os.Stat(bashCompletion); err != nil && shell == "bash" {
		t.Skip("SKIPPED: bash-completion is not installed")
	}
	dir := t.TempDir()
	for _, name := range []string{"$(touch pwned)", "`touch pwned`", "$(touch pwned).yaml", "a;touch pwned;"} {
		if err := os.MkdirAll(filepath.Join(dir, "hostile", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "latent")); err != nil { // the test's program is latent by that name, see TestMain
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"vae.yaml": "model: {kind: vae}\n",
		"bashrc":   "bind 'set enable-bracketed-paste off'; PS1='READY> '; . " + bashCompletion + "; . <(latent completion bash)\n",
		".zshrc":   "PS1='READY> '; unsetopt prompt_cr prompt_sp; autoload -U compinit; compinit -u; source <(latent completion zsh)\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
