package sweep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"latent/pkg/config"
	"latent/pkg/experiment"
	"latent/pkg/message"
	"latent/pkg/rundir"
	"latent/pkg/study"
)

// cluster is a sweep's workers on Slurm: the tasks of job arrays, each a worker. What there are is asked of the queue, by the
// jobs' name, and kept nowhere else: whoever sees the sweep's folder can follow them, whatever became of who submitted them.
type cluster struct {
	sweep *Sweep
	log   io.Writer
	dir   string // of the program, its script and the workers' logs
	name  string // of the jobs

	answered, submitted bool // the queue, and workers by this process
	// deaths counts workers that were submitted again since progress, which trials have made in all, was last seen to grow.
	deaths, progress int
	trouble          string // the last that was told
}

const (
	selfFile   = "latent"
	scriptFile = "worker.sh"
	// slurmPoll is how often the queue is looked at.
	slurmPoll = 2 * time.Second
	// endPolls is how many looks workers have to see that the sweep is over, before they are cancelled.
	endPolls = 5
)

// RunSlurm is [Sweep.Run] with workers that Slurm starts, as the config's slurm says. It follows them, and submits those again
// that end before the sweep does. Once it has begun, what goes wrong with the cluster is told, and tried again.
//
// When ctx ends, ask is called with a question: if it says yes, the workers are cancelled, and save what they run; else they go
// on, and the sweep is followed again by [Sweep.RunSlurm] on any machine that sees the folder.
func (s *Sweep) RunSlurm(ctx context.Context, options RunOptions, ask func(question string) bool) error {
	for _, program := range []string{"sbatch", "squeue", "scancel"} {
		if _, err := exec.LookPath(program); err != nil {
			return experiment.InputError{Err: fmt.Errorf("--launcher slurm: %w; run this on a login node of the cluster", err)}
		}
	}
	if options.Log == nil {
		options.Log = io.Discard
	}
	if s.Record.Store == studyFile {
		fmt.Fprintln(options.Log, "the trials are in a file, which serves workers on one machine only; for several, give the sweep store: postgres://USER@HOST/DATABASE")
	}
	path, err := filepath.Abs(s.Path)
	if err != nil {
		return err
	}
	c := &cluster{sweep: s, log: options.Log, dir: filepath.Join(path, workersDir), name: "latent-" + s.Record.Study}
	if err := c.prepare(path); err != nil {
		return err
	}
	return s.follow(ctx, options, " --launcher slurm", func(ctx context.Context) error { return c.work(ctx, ask) })
}

// prepare puts into the sweep's folder what the workers need: this program, and the script that starts it.
func (c *cluster) prepare(path string) error {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// A copy: what `go run` has built is gone when it ends, and a new version must not meet an old one's workers.
	if _, err := os.Stat(filepath.Join(c.dir, selfFile)); errors.Is(err, fs.ErrNotExist) {
		if err := copyProgram(self, filepath.Join(c.dir, selfFile)); err != nil {
			return fmt.Errorf("copy the program for the workers: %w", err)
		}
	}
	script := "#!/bin/sh\n# A worker of the sweep, submitted by latent.\n"
	for _, variable := range c.sweep.Config.Slurm.Environment { // sbatch's --export would cut values at their commas
		name, value, _ := strings.Cut(variable, "=")
		script += "export " + name + "=" + quoted(value) + "\n"
	}
	// A job that Slurm begins again keeps its number, and a worker's name is that of one process. No host's begins so.
	script += fmt.Sprintf("exec %s worker --sweep %s --name \"slurm:$SLURM_JOB_ID:${SLURM_RESTART_COUNT:-0}\"\n",
		quoted(filepath.Join(c.dir, selfFile)), quoted(path))
	return rundir.WriteFile(filepath.Join(c.dir, scriptFile), []byte(script))
}

// quoted is text as one word of a shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	return os.Rename(to+".part", to)
}

// work keeps the workers running until the sweep is over.
func (c *cluster) work(ctx context.Context, ask func(string) bool) error {
	for polls := 0; ; {
		over, err := c.look(ctx)
		switch {
		case ctx.Err() != nil:
			return c.interrupted(ask)
		case err != nil:
			return err
		case over:
			if done, err := c.dismiss(ctx, polls == endPolls); done || err != nil {
				return err
			}
			polls++
		}
		select {
		case <-ctx.Done():
		case <-time.After(slurmPoll):
		}
	}
}

// look submits the workers that are missing, and says whether the sweep is over.
func (c *cluster) look(ctx context.Context) (over bool, err error) {
	if over, err = c.over(ctx); over || err != nil {
		return over, err
	}
	active, _, err := c.count(ctx)
	if err != nil {
		if !c.answered {
			return false, err
		}
		c.tell(err)
		return false, nil
	}
	c.answered = true
	missing := c.sweep.Config.Workers - active
	if missing <= 0 {
		return false, nil
	}
	if err := c.submit(ctx, missing); err != nil {
		if lost := (*deathsError)(nil); errors.As(err, &lost) {
			return false, err
		}
		if !c.submitted && active == 0 {
			return false, experiment.InputError{Err: fmt.Errorf("%w; change what slurm says, and go on with: %s sweep resume %s --launcher slurm slurm.KEY=VALUE",
				err, c.sweep.program(), message.Quote(c.sweep.Path))}
		}
		c.tell(err)
	}
	return false, nil
}

// tell tells of what went wrong and is tried again, once while it stays the same.
func (c *cluster) tell(err error) {
	if text := err.Error(); text != c.trouble {
		c.trouble = text
		fmt.Fprintf(c.log, "%s; trying again\n", text)
	}
}

// dismiss ends the workers of a sweep that is over: those that run see it themselves, those that wait for a node have nothing
// to wait for, and those that are on a lost one are not waited for.
func (c *cluster) dismiss(ctx context.Context, all bool) (done bool, err error) {
	active, _, err := c.count(ctx)
	if err != nil || active == 0 {
		return true, err
	}
	if all {
		_, err = run(ctx, "scancel", "--full", "--name="+c.name)
		return true, err
	}
	_, err = run(ctx, "scancel", "--state=PENDING", "--name="+c.name)
	return err != nil, err
}

// over says whether nothing is left to do, or to begin.
func (c *cluster) over(ctx context.Context) (bool, error) {
	all, err := c.sweep.Study.Trials(ctx)
	if err != nil {
		return false, err
	}
	progress := 0
	for _, t := range all {
		if progress += len(t.Curve); isOver(t.State) { // an epoch counts: a trial may be longer than the time limit
			progress++
		}
	}
	if progress > c.progress {
		c.deaths, c.progress = 0, progress
	}
	left := newProposer(c.sweep, time.Now).limit(all) > len(all)
	return !left && !slices.ContainsFunc(all, func(t *study.Trial) bool { return !isOver(t.State) }), nil
}

// deathsError is the end of a sweep whose workers die without getting anywhere.
type deathsError struct{ text string }

func (e *deathsError) Error() string { return e.text }

// submit begins so many workers.
func (c *cluster) submit(ctx context.Context, count int) error {
	if c.submitted && c.deaths+count > restarts*c.sweep.Config.Workers {
		return &deathsError{fmt.Sprintf("workers ended %d times, and no trial came further in between; the logs in %s say why", c.deaths+count, c.dir)}
	}
	// Not cut short when ctx ends: then the workers are counted that it has begun.
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	output, err := run(limited, "sbatch", c.arguments(count)...)
	if err != nil {
		return err
	}
	if c.submitted {
		c.deaths += count
	}
	c.submitted, c.trouble = true, ""
	job, _, _ := strings.Cut(strings.TrimSpace(output), ";") // JOB;CLUSTER
	fmt.Fprintf(c.log, "submitted job %s of %d workers\n", job, count)
	return nil
}

// arguments are those of sbatch.
func (c *cluster) arguments(count int) []string {
	s := c.sweep.Config.Slurm
	// Before its time limit a batch script gets no signal, unless it is asked for: a minute is for saving.
	args := []string{"--ntasks=1", "--signal=B:TERM@60", "--output=" + filepath.Join(c.dir, "slurm-%A_%a.log")}
	for _, option := range []struct {
		name  string
		value string
	}{{"partition", s.Partition}, {"mem", s.Memory}, {"time", s.TimeLimit}, {"gres", gpus(s)}, {"cpus-per-task", positive(s.CPUs)}} {
		if option.value != "" {
			args = append(args, "--"+option.name+"="+option.value)
		}
	}
	args = append(args, s.Options...)
	// What the options must not change comes last.
	return append(args, "--parsable", "--no-requeue", "--job-name="+c.name, fmt.Sprintf("--array=0-%d", count-1), filepath.Join(c.dir, scriptFile))
}

func gpus(s config.Slurm) string {
	if s.GPUs == 0 {
		return ""
	}
	return fmt.Sprintf("gpu:%d", s.GPUs)
}

func positive(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// count returns how many workers wait for a node or run, and how many do not any more: those that save, those on a node that is
// lost, and those that a node could not launch, which Slurm holds until somebody comes.
func (c *cluster) count(ctx context.Context) (active, ending int, err error) {
	output, err := run(ctx, "squeue", "--noheader", "--array", "--format=%T %r", "--name="+c.name)
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "COMPLETING ") || strings.Contains(line, "launch failed") {
			ending++
		} else {
			active++
		}
	}
	return active, ending, nil
}

// interrupted asks what becomes of the workers.
func (c *cluster) interrupted(ask func(string) bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	// --full: without it a batch script is killed, with nothing saved.
	args := []string{"--full", "--name=" + c.name}
	active, ending, err := c.count(ctx)
	if err != nil {
		return fmt.Errorf("%w; the workers go on, if there are any: %w", experiment.ErrInterrupted, err)
	}
	if active == 0 {
		return experiment.ErrInterrupted
	}
	if !ask(fmt.Sprintf("cancel the %d workers on the cluster? They save what they run.", active)) {
		return fmt.Errorf("%w; %d workers go on, until: scancel %s", experiment.ErrInterrupted, active, strings.Join(args, " "))
	}
	if _, err := run(ctx, "scancel", args...); err != nil {
		return fmt.Errorf("%w; the workers go on: %w", experiment.ErrInterrupted, err)
	}
	for active+ending > 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; %d workers are cancelled, and have not ended yet", experiment.ErrInterrupted, active+ending)
		case <-time.After(slurmPoll):
		}
		if active, ending, err = c.count(ctx); err != nil {
			return fmt.Errorf("%w; the workers are cancelled, but whether they have ended is not known: %w", experiment.ErrInterrupted, err)
		}
	}
	return experiment.ErrInterrupted
}

// run runs a program of Slurm and returns what it prints.
func run(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var output, failure bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &failure
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(failure.String()))
	}
	return output.String(), nil
}
