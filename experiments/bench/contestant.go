package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// contestant is a program that works when it is asked to: it reads requests from its standard input, a line of JSON each,
// answers each with a line of JSON, and ends with its input. Between requests it waits, and leaves the cores to others.
type contestant struct {
	name     string
	command  []string
	env      []string      // beside the environment's own
	patience time.Duration // how long an answer may take; 0 is for ever
}

// request is a piece of work. Its fields are what the task of that name takes.
type request struct {
	// Task is one of
	//
	//   - epoch: the first epoch of fresh runs; its loss is the mean over images, and over the runs
	//   - export: train a model, and write it and noisy images into Folder
	//   - denoise: the images in Folder with the model in Folder; its loss is the mean squared error, its time that of a pass
	//   - product: of two Size×Size matrices of float32
	//   - about: what Latent computes on, in words; its time is that of opening it
	Task string `json:"task"`

	Images    int     `json:"images,omitempty"` // the set's first
	Batch     int     `json:"batch,omitempty"`
	Width     float64 `json:"width,omitempty"`     // times the seed's hidden layers; 1 without it
	Rate      float64 `json:"rate,omitempty"`      // learning rate; the seed's without it
	Model     string  `json:"model,omitempty"`     // the seed's without it
	Precision string  `json:"precision,omitempty"` // float32, tf32 or bfloat16; without it, a contestant's own default
	Runs      int     `json:"runs,omitempty"`
	Group     string  `json:"group,omitempty"` // how Latent trains several runs: train.Options.Group
	Seed      int64   `json:"seed,omitempty"`  // of the first run; the others have the next ones

	Folder string `json:"folder,omitempty"`
	Passes int    `json:"passes,omitempty"` // over the images, after one that warms up
	Size   int    `json:"size,omitempty"`
}

// Models of a request.
const (
	modelUNet     = "unet"
	modelPlain    = "unet, GoMLX's gradients"
	modelResidual = "residual unet" // it computes what to add to the noisy image
)

// Precisions of a request.
const (
	float32s  = "float32"
	tf32s     = "tf32"
	bfloat16s = "bfloat16"
)

// in is the request in a precision.
func (r request) in(precision string) request {
	r.Precision = precision
	return r
}

// answer is what came of a request. A contestant times itself, from when it has all it needs to when the device is done:
// drawing first weights and compiling are not in it.
type answer struct {
	Seconds float64 `json:"seconds"`
	Loss    float64 `json:"loss"`
	About   string  `json:"about,omitempty"`
	Flags   string  `json:"flags,omitempty"` // XLA's, in force
}

// process is a contestant that was started.
type process struct {
	name     string
	cmd      *exec.Cmd
	stdin    io.WriteCloser
	answers  *bufio.Reader
	stderr   *tail
	patience time.Duration
}

// errPatience says that a contestant was given up and killed.
var errPatience = errors.New("no answer")

// start starts a contestant. It is killed when ctx ends.
func (c contestant) start(ctx context.Context) (*process, error) {
	p := &process{name: c.name, cmd: exec.CommandContext(ctx, c.command[0], c.command[1:]...), stderr: &tail{}, patience: c.patience}
	p.cmd.Env, p.cmd.Stderr = append(environment(), c.env...), p.stderr
	p.cmd.WaitDelay = time.Second // at its end, for what it and processes of its own still say
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.answers = bufio.NewReader(stdout)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	return p, nil
}

// ask has a piece of work done.
func (p *process) ask(r request) (answer, error) {
	line, err := json.Marshal(r)
	if err != nil {
		return answer{}, err
	}
	if _, err := p.stdin.Write(append(line, '\n')); err != nil {
		return answer{}, p.failed(r, err)
	}
	reply, err := p.read()
	if err != nil {
		return answer{}, p.failed(r, err)
	}
	var a answer
	if err := json.Unmarshal(reply, &a); err != nil {
		return answer{}, p.failed(r, fmt.Errorf("answer %q: %w", reply, err))
	}
	if a.Seconds <= 0 {
		return answer{}, p.failed(r, fmt.Errorf("answer %q: it took no time", reply))
	}
	return a, nil
}

// read reads an answer, for as long as patience lasts. A process that takes longer is killed.
func (p *process) read() ([]byte, error) {
	if p.patience == 0 {
		return p.answers.ReadBytes('\n')
	}
	type reply struct {
		line []byte
		err  error
	}
	replies := make(chan reply, 1)
	go func() {
		line, err := p.answers.ReadBytes('\n')
		replies <- reply{line, err}
	}()
	select {
	case r := <-replies:
		return r.line, r.err
	case <-time.After(p.patience):
		p.kill()
		return nil, fmt.Errorf("%w in %v", errPatience, p.patience)
	}
}

// kill ends the process, and does not wait for one that hangs in a driver.
func (p *process) kill() {
	p.cmd.Process.Kill()
	go p.cmd.Wait()
}

// failed tells of a request that got no answer, with what the process had to say.
func (p *process) failed(r request, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) {
		err = fmt.Errorf("it ended: %w", p.cmd.Wait())
	}
	return fmt.Errorf("%s, %s: %w%s", p.name, r.Task, err, p.stderr)
}

// close ends the process and returns the most memory that it had, in bytes.
func (p *process) close() (peak float64, err error) {
	p.stdin.Close()
	// A process of a process that still holds its outputs is no mistake.
	if err := p.cmd.Wait(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return 0, fmt.Errorf("%s: at its end: %w%s", p.name, err, p.stderr)
	}
	return peakMemory(p.cmd.ProcessState), nil
}

// peakMemory is the most resident memory that a process had, in bytes. A process has at least what its parent had when it
// was started, so this program keeps no images itself.
func peakMemory(state *os.ProcessState) float64 {
	peak := float64(state.SysUsage().(*syscall.Rusage).Maxrss)
	if runtime.GOOS != "darwin" {
		peak *= 1024 // elsewhere it is in KiB
	}
	return peak
}

// environment is this process's, without what would choose a contestant's flags or backend for it.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool {
		return strings.HasPrefix(entry, "XLA_FLAGS=") || strings.HasPrefix(entry, "GOMLX_BACKEND=")
	})
}

// tail keeps the end of what is written to it.
type tail struct {
	mutex sync.Mutex
	text  []byte
}

// tailBytes is how much a tail keeps.
const tailBytes = 4096

func (t *tail) Write(text []byte) (int, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.text = append(t.text, text...)
	t.text = t.text[max(0, len(t.text)-tailBytes):]
	return len(text), nil
}

// String is what was kept, to stand behind an error.
func (t *tail) String() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if len(t.text) == 0 {
		return ""
	}
	return "\n" + strings.TrimSpace(string(t.text))
}
