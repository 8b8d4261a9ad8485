//go:build linux

package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"latent/pkg/rundir"
	"latent/pkg/study/studytest"
	"latent/pkg/sweep"
)

// A sweep through a real Slurm, whose three nodes are on this machine. Whatever dies meanwhile, each trial is done once, with the
// parameters and the value that it has in a sweep that one process runs. It takes some minutes: set LATENT_LONG=1.
func TestSlurm(t *testing.T) {
	if os.Getenv("LATENT_LONG") == "" {
		t.Skip("SKIPPED: takes some minutes, installs Slurm and starts it; set LATENT_LONG=1")
	}
	cluster := startSlurm(t)
	f := newField(t)
	want := f.reference(t)

	// The slurmd of a node, and all workers there, die at once. Slurm finds the node lost, and the sweep another for its worker.
	t.Run("lost node", func(t *testing.T) {
		follower := f.start(t, "sweep", "s.yaml", "--launcher", "slurm", "--workers", "3", "generation=3", "deterministic=true", f.store(t))
		dir := follower.folder(t)
		// Others can look meanwhile. Each worker has a trial, so that whichever dies leaves one.
		f.until(t, dir, func(s *sweep.Status) bool { return s.Counts["done"] >= 3 && s.Counts["running"] == 3 })
		node := cluster.killNode(t)
		follower.ends(t, exitDone)
		cluster.startNode(t, node)
		f.same(t, dir, want)
		text := follower.text()
		for number := range want {
			if n := len(regexp.MustCompile(fmt.Sprintf(`(?m)^trial %d +done`, number)).FindAllString(text, -1)); n != 1 {
				t.Errorf("trial %d was told %d times", number, n)
			}
		}
		if n := strings.Count(text, "submitted job "); n < 2 {
			t.Errorf("workers were submitted %d times, want again after the node was lost:\n%s", n, text)
		}
		if f.attempts(t, dir) == 0 {
			t.Error("no trial was begun again: the node had none when it was lost")
		}
		cluster.empty(t)
	})

	// The process that submitted is killed; one that comes later follows the same workers. It is interrupted and leaves them at work;
	// a third follows them to the end.
	t.Run("other followers", func(t *testing.T) {
		first := f.start(t, "sweep", "s.yaml", "--launcher", "slurm", "--workers", "3", "budget.trials=9", "generation=3", "deterministic=true", f.store(t))
		dir := first.folder(t)
		first.wait(t, "trial 1 ")
		jobs := cluster.jobs(t)
		first.cmd.Process.Kill()
		first.ends(t, -1)

		second := f.onTerminal(t, "sweep", "resume", dir, "--launcher", "slurm")
		second.wait(t, "running")
		second.types(t, "\x03")
		second.wait(t, "cancel the 3 workers on the cluster?")
		second.types(t, "n\n")
		second.ends(t, exitInterrupted)
		for _, words := range []string{"interrupted; 3 workers go on, until: scancel --full --name=latent-s/", "latent sweep resume " + dir + " --launcher slurm"} {
			if !strings.Contains(second.text(), words) {
				t.Errorf("it did not say %q:\n%s", words, second.text())
			}
		}
		if now := cluster.jobs(t); !slices.Equal(now, jobs) {
			t.Errorf("the workers are %v, and were %v", now, jobs)
		}
		third := f.start(t, "sweep", "resume", dir, "--launcher", "slurm")
		third.ends(t, exitDone)
		if text := second.text() + third.text(); strings.Contains(text, "submitted job") {
			t.Errorf("workers were submitted again:\n%s", text)
		}
		f.same(t, dir, want[:9])
		if n := f.attempts(t, dir); n > 0 {
			t.Errorf("%d trials were begun again, and no worker died", n)
		}
		cluster.empty(t)
	})

	// Workers that are cancelled save what they run, and give it back: it goes on from there, without waiting for a lease.
	t.Run("cancelled", func(t *testing.T) {
		first := f.onTerminal(t, "sweep", "s.yaml", "--launcher", "slurm", "--workers", "3", "generation=3", "deterministic=true",
			"slurm={gpus: 1, time_limit: '10', environment: ['COMMAS=a,b'], options: [--comment=test]}", f.store(t))
		dir := first.folder(t)
		f.until(t, dir, func(s *sweep.Status) bool {
			return slices.ContainsFunc(s.Trials, func(t sweep.TrialStatus) bool { return t.State == "running" && t.Epoch > 1 })
		})
		cluster.inEnvironment(t, "COMMAS=a,b")
		first.types(t, "\x03")
		first.wait(t, "cancel the 3 workers on the cluster?")
		first.types(t, "y\n")
		first.ends(t, exitInterrupted)
		cluster.empty(t)
		status := f.status(t, dir)
		if status.Counts["running"] != 0 || status.Counts["waiting"] == 0 {
			t.Errorf("after the workers were cancelled, trials are %v; want none running and some waiting", status.Counts)
		}
		var stopped []int
		for _, trial := range status.Trials {
			if trial.State == "waiting" && trial.Run != "" {
				stopped = append(stopped, trial.Number)
				if m := manifest(t, trial.Run); m.State != rundir.Interrupted {
					t.Errorf("the run of trial %d is %s, want interrupted", trial.Number, m.State)
				}
			}
		}
		f.start(t, "sweep", "resume", dir, "--launcher", "slurm").ends(t, exitDone)
		f.same(t, dir, want)
		for _, number := range stopped {
			trial := f.status(t, dir).Trials[number]
			if m := manifest(t, trial.Run); trial.Attempt != 2 || len(m.Resumed) != 1 {
				t.Errorf("trial %d took %d attempts, and its run was resumed %d times; want 2 and 1", number, trial.Attempt, len(m.Resumed))
			}
		}
		cluster.empty(t)
	})

	// What sbatch refuses is told with its words and the cure, and the cure works. Workers for whom there was never a node do not
	// outlive the sweep.
	t.Run("refused", func(t *testing.T) {
		first := f.start(t, "sweep", "s.yaml", "--launcher", "slurm", "budget.trials=1", "generation=3", "deterministic=true", "slurm.partition=nosuch", f.store(t))
		dir := first.folder(t)
		first.ends(t, exitInput)
		cure := "latent sweep resume " + dir + " --launcher slurm slurm.KEY=VALUE"
		if text := first.text(); !strings.Contains(text, "invalid partition specified: nosuch") || !strings.Contains(text, cure) {
			t.Errorf("it said:\n%s", text)
		}
		// Three nodes have a GPU each: the fourth worker waits.
		f.start(t, "sweep", "resume", dir, "--launcher", "slurm", "--workers", "4", "slurm.partition=main", "slurm.gpus=1").ends(t, exitDone)
		f.same(t, dir, want[:1])
		cluster.empty(t)
	})
}

// Workers elsewhere, which see only the database, bring a sweep to its end although one of them is killed: the other begins the
// killed one's trial again.
func TestJoinedWorkers(t *testing.T) {
	if os.Getenv("LATENT_LONG") == "" {
		t.Skip("SKIPPED: takes a minute; set LATENT_LONG=1")
	}
	f := newField(t)
	if !f.postgres {
		t.Skip("SKIPPED: no PostgreSQL; set LATENT_TEST_POSTGRES to a URL, or install Debian's postgresql")
	}
	want := f.reference(t)
	store := f.store(t)
	at := strings.TrimPrefix(store, "store=")
	here := f.start(t, "sweep", "s.yaml", "generation=3", "deterministic=true", "budget.trials=9", store)
	dir := here.folder(t)
	f.until(t, dir, func(s *sweep.Status) bool { return len(s.Trials) > 0 && s.Trials[0].State == "running" })
	killed := f.start(t, "worker", "--store", at, "--out", filepath.Join(f.dir, "elsewhere"), "--name", "killed")
	var lost int
	f.until(t, dir, func(s *sweep.Status) bool {
		i := slices.IndexFunc(s.Trials, func(t sweep.TrialStatus) bool { return t.Worker == "killed" && t.Epoch > 1 })
		lost = i
		return i >= 0
	})
	killed.cmd.Process.Kill()
	killed.ends(t, -1)
	other := f.start(t, "worker", "--store", at, "--sweep", "s/"+filepath.Base(dir), "--out", filepath.Join(f.dir, "another"), "--name", "other")
	other.wait(t, "trial ")
	// The sweep's own process goes too: the joined worker alone brings it to its end.
	here.cmd.Process.Kill()
	here.ends(t, -1)
	other.ends(t, exitDone)
	f.same(t, dir, want[:9])
	status := f.status(t, dir)
	if attempt := status.Trials[lost].Attempt; attempt != 2 {
		t.Errorf("trial %d, whose worker was killed, took %d attempts", lost, attempt)
	}
	for _, out := range []string{"elsewhere", "another"} {
		runs, err := filepath.Glob(filepath.Join(f.dir, out, "s", filepath.Base(dir), "trials", "*", "manifest.json"))
		if err != nil || len(runs) == 0 {
			t.Errorf("%s has no runs: %v", out, err)
		}
	}
	// It is over: a worker that joins now has nothing to do.
	f.start(t, "worker", "--store", at, "--out", filepath.Join(f.dir, "late")).ends(t, exitDone)
}

// field is a folder with a sweep's file, and what it takes to run it.
type field struct {
	dir      string
	postgres bool
}

func newField(t *testing.T) *field {
	t.Helper()
	f := &field{dir: t.TempDir()}
	bin, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	f.postgres = os.Getenv("LATENT_TEST_POSTGRES") != "" || len(bin) > 0
	t.Setenv("GOMLX_BACKEND", "go")
	for name, text := range map[string]string{
		// Some seconds a trial.
		"base.yaml": `
data: {dataset: glyphs, train: 256, test: 32, validation: 32}
corrupt: {kind: gaussian, noise_factor: 0.3}
model: {kind: dense, encoder: [32, 8], decoder: [32]}
train: {batch_size: 64, epochs: 14}
`,
		"s.yaml": `
base: base.yaml
objective: {metric: val_loss}
space:
  train.learning_rate: {loguniform: [1e-4, 0.1]}
  corrupt.noise_factor: {uniform: [0.1, 0.6]}
strategy: {kind: tpe, startup: 3}
budget: {trials: 12}
`} {
		if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// store is where a new sweep keeps its trials: a database of its own with its password in the environment, or, where there is no
// PostgreSQL, the file.
func (f *field) store(t *testing.T) string {
	t.Helper()
	if !f.postgres {
		return "store="
	}
	at, err := url.Parse(studytest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	if password, found := at.User.Password(); found {
		t.Setenv("PGPASSWORD", password)
		at.User = url.User(at.User.Username())
	}
	return "store=" + at.String()
}

// reference are the trials of the sweep, run by one process.
func (f *field) reference(t *testing.T) []sweep.TrialStatus {
	t.Helper()
	alone := f.start(t, "sweep", "s.yaml", "generation=3")
	alone.ends(t, exitDone)
	return f.status(t, alone.folder(t)).Trials
}

func (f *field) status(t *testing.T, dir string) *sweep.Status {
	t.Helper()
	cmd := exec.Command("latent", "sweep", "status", dir, "--json")
	cmd.Dir, cmd.Stderr = f.dir, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("status: %v", err)
	}
	var status sweep.Status
	if err := json.Unmarshal(out, &status); err != nil {
		t.Fatal(err)
	}
	for i, trial := range status.Trials {
		if trial.Run != "" {
			status.Trials[i].Run = filepath.Join(f.dir, trial.Run)
		}
	}
	return &status
}

// until waits for a status.
func (f *field) until(t *testing.T, dir string, reached func(*sweep.Status) bool) {
	t.Helper()
	eventually(t, "the status that is waited for", func() bool { return reached(f.status(t, dir)) })
}

// same wants all trials done, with these parameters and values to the bit.
func (f *field) same(t *testing.T, dir string, want []sweep.TrialStatus) {
	t.Helper()
	got := f.status(t, dir).Trials
	if len(got) != len(want) {
		t.Fatalf("%d trials, want %d", len(got), len(want))
	}
	for i, trial := range got {
		if trial.State != "done" || want[i].State != "done" || !reflect.DeepEqual(trial.Params, want[i].Params) || *trial.Value != *want[i].Value {
			t.Errorf("trial %d is %+v, want %+v", i, trial, want[i])
		}
	}
}

// attempts counts the trials that were begun more than once.
func (f *field) attempts(t *testing.T, dir string) (again int) {
	t.Helper()
	for _, trial := range f.status(t, dir).Trials {
		if trial.Attempt > 1 {
			again++
		}
	}
	return again
}

func manifest(t *testing.T, run string) *rundir.Manifest {
	t.Helper()
	opened, err := rundir.Open(run)
	if err != nil {
		t.Fatal(err)
	}
	m, err := opened.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// child is a latent command that runs.
type child struct {
	cmd    *exec.Cmd
	input  io.Writer
	ended  chan struct{}
	mutex  sync.Mutex
	output bytes.Buffer
}

func (c *child) Write(p []byte) (int, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.output.Write(p)
}

func (c *child) text() string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return strings.ReplaceAll(c.output.String(), "\r", "")
}

// start starts latent where nobody can be asked.
func (f *field) start(t *testing.T, args ...string) *child {
	t.Helper()
	return f.run(t, exec.Command("latent", args...))
}

// onTerminal starts latent on a terminal.
func (f *field) onTerminal(t *testing.T, args ...string) *child {
	t.Helper()
	line := "stty cols 150; exec latent"
	for _, arg := range args {
		line += " '" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
	}
	return f.run(t, exec.Command("script", "--quiet", "--return", "--flush", "--command", line, "/dev/null"))
}

func (f *field) run(t *testing.T, cmd *exec.Cmd) *child {
	t.Helper()
	c := &child{cmd: cmd, ended: make(chan struct{})}
	cmd.Dir, cmd.Stdout, cmd.Stderr = f.dir, c, c
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.input = input
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		cmd.Wait()
		close(c.ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-c.ended
	})
	return c
}

func (c *child) types(t *testing.T, keys string) {
	t.Helper()
	if _, err := io.WriteString(c.input, keys); err != nil {
		t.Fatal(err)
	}
}

// wait waits until the command has said something.
func (c *child) wait(t *testing.T, words string) {
	t.Helper()
	c.until(t, fmt.Sprintf("%q", words), func(text string) bool { return strings.Contains(text, words) })
}

// until waits for what the command says. One that ends without it has failed.
func (c *child) until(t *testing.T, what string, said func(text string) bool) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("%q said:\n%s", c.cmd.Args, c.text())
		}
	}()
	eventually(t, what, func() bool {
		select {
		case <-c.ended:
			if !said(c.text()) {
				t.Fatalf("it ended without %s", what)
			}
		default:
		}
		return said(c.text())
	})
}

// ends waits for the command's end; status is -1 of one that was killed.
func (c *child) ends(t *testing.T, status int) {
	t.Helper()
	select {
	case <-c.ended:
	case <-time.After(patience):
		t.Fatalf("%q has not ended:\n%s", c.cmd.Args, c.text())
	}
	if got := c.cmd.ProcessState.ExitCode(); got != status {
		t.Fatalf("%q ended with %d, want %d:\n%s", c.cmd.Args, got, status, c.text())
	}
}

// folder is the sweep's, seen from the field.
func (c *child) folder(t *testing.T) string {
	t.Helper()
	line := regexp.MustCompile(`(?m)^folder +(\S+)\n`)
	c.until(t, "the folder's name", line.MatchString)
	return line.FindStringSubmatch(c.text())[1]
}

const patience = 5 * time.Minute

func eventually(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !reached(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// slurmCluster is a Slurm of three nodes on this machine.
type slurmCluster struct {
	t     *testing.T // its daemons end with this
	dir   string
	nodes map[string]*exec.Cmd
}

const slurmConf = `
ClusterName=local
SlurmctldHost=HOST(127.0.0.1)
AuthInfo=socket=DIR/munge.sock
SlurmUser=root
SlurmdUser=root
SlurmctldPort=PORT0
SlurmctldPidFile=DIR/slurmctld.pid
StateSaveLocation=DIR/state
SlurmdSpoolDir=DIR/%n
SlurmdPidFile=DIR/%n.pid
SlurmdTimeout=10
ReturnToService=2
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core,CR_LLN
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=n1 NodeHostname=HOST NodeAddr=127.0.0.1 Port=PORT1 CPUs=2 RealMemory=1000 Gres=gpu:1
NodeName=n2 NodeHostname=HOST NodeAddr=127.0.0.1 Port=PORT2 CPUs=2 RealMemory=1000 Gres=gpu:1
NodeName=n3 NodeHostname=HOST NodeAddr=127.0.0.1 Port=PORT3 CPUs=2 RealMemory=1000 Gres=gpu:1
PartitionName=main Nodes=ALL Default=YES State=UP
`

// startSlurm installs Debian's Slurm, where it is not there, and starts it with all that it writes in a folder of the test's.
func startSlurm(t *testing.T) *slurmCluster {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: Slurm's daemons start workers as other users, and so as root only")
	}
	if _, err := exec.LookPath("slurmctld"); err != nil {
		if _, err := exec.LookPath("apt-get"); err != nil {
			t.Skip("SKIPPED: there is no slurmctld, and no apt-get to install it; install slurmctld, slurmd, slurm-client and munge")
		}
		for _, args := range [][]string{{"update"}, {"install", "-y", "--no-install-recommends", "slurmctld", "slurmd", "slurm-client", "munge"}} {
			cmd := exec.Command("apt-get", args...)
			cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Skipf("SKIPPED: Slurm cannot be installed: apt-get %s: %v\n%s", args[0], err, out)
			}
		}
	}
	s := &slurmCluster{t: t, dir: t.TempDir(), nodes: map[string]*exec.Cmd{}}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	host, _, _ = strings.Cut(host, ".")
	words := []string{"HOST", host, "DIR", s.dir}
	var taken []net.Listener
	for i := range 4 {
		port, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, port)
		words = append(words, fmt.Sprint("PORT", i), fmt.Sprint(port.Addr().(*net.TCPAddr).Port))
	}
	for _, port := range taken {
		port.Close()
	}
	files := map[string]string{
		"slurm.conf":  strings.NewReplacer(words...).Replace(slurmConf),
		"gres.conf":   "AutoDetect=off\nNodeName=n[1-3] Name=gpu File=/dev/null\n",
		"cgroup.conf": "CgroupPlugin=cgroup/v1\n",
		"munge.key":   strings.Repeat("key of the test;", 8),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"state", "n1", "n2", "n3"} {
		if err := os.Mkdir(filepath.Join(s.dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("SLURM_CONF", filepath.Join(s.dir, "slurm.conf"))
	s.daemon("munged", "--foreground", "--force", "--socket="+s.dir+"/munge.sock", "--key-file="+s.dir+"/munge.key",
		"--pid-file="+s.dir+"/munged.pid", "--log-file="+s.dir+"/munged.log", "--seed-file="+s.dir+"/munged.seed")
	eventually(t, "munge's socket", func() bool {
		_, err := os.Stat(s.dir + "/munge.sock")
		return err == nil
	})
	s.daemon("slurmctld", "-D")
	for _, node := range []string{"n1", "n2", "n3"} {
		s.startNode(t, node)
	}
	t.Cleanup(func() { // before the daemons' end
		exec.Command("scancel", "--user=root").Run()
		for deadline := time.Now().Add(20 * time.Second); len(s.workers("")) > 0 && time.Now().Before(deadline); {
			time.Sleep(100 * time.Millisecond)
		}
		for _, pid := range s.workers("") {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return s
}

// daemon starts a program that ends with the cluster.
func (s *slurmCluster) daemon(name string, args ...string) *exec.Cmd {
	t := s.t
	t.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, name+".out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	path, err := exec.LookPath(name)
	if err != nil {
		path = "/usr/sbin/" + name // not in every PATH
	}
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, log, &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("%s said:\n%s", name, text)
		}
	})
	return cmd
}

// startNode starts a node's slurmd, and waits until the cluster has the node.
func (s *slurmCluster) startNode(t *testing.T, node string) {
	t.Helper()
	s.nodes[node] = s.daemon("slurmd", "-D", "-N", node)
	eventually(t, "node "+node, func() bool {
		out, err := exec.Command("sinfo", "--noheader", "--nodes="+node, "--format=%t").Output()
		return err == nil && strings.TrimSpace(string(out)) == "idle"
	})
}

// killNode kills a node on which a worker is: its slurmd, the worker, and what watches over that. It returns the node.
func (s *slurmCluster) killNode(t *testing.T) string {
	t.Helper()
	for node, slurmd := range s.nodes {
		workers := s.workers(node)
		if len(workers) == 0 {
			continue
		}
		slurmd.Process.Kill()
		for _, pid := range workers {
			if parent := parentOf(pid); parent > 1 {
				syscall.Kill(parent, syscall.SIGKILL)
			}
			syscall.Kill(pid, syscall.SIGKILL)
		}
		return node
	}
	t.Fatal("no node has a worker")
	return ""
}

// workers are the processes that run on a node, or on all.
func (s *slurmCluster) workers(node string) (pids []int) {
	found, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range found {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		variables := strings.Split(string(text), "\x00")
		if slices.Contains(variables, "SLURM_CONF="+filepath.Join(s.dir, "slurm.conf")) &&
			slices.ContainsFunc(variables, func(v string) bool {
				at, found := strings.CutPrefix(v, "SLURMD_NODENAME=")
				return found && (node == "" || at == node)
			}) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, pid)
		}
	}
	return pids
}

func parentOf(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// PID (NAME) STATE PARENT; the name may have blanks.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	parent, _ := strconv.Atoi(fields[1])
	return parent
}

// inEnvironment wants a variable in each worker's environment.
func (s *slurmCluster) inEnvironment(t *testing.T, variable string) {
	t.Helper()
	workers := s.workers("")
	if len(workers) == 0 {
		t.Error("there is no worker")
	}
	for _, pid := range workers {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
		if !slices.Contains(strings.Split(string(text), "\x00"), variable) {
			t.Errorf("worker %d does not have %s", pid, variable)
		}
	}
}

// jobs are the workers that the queue has.
func (s *slurmCluster) jobs(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("squeue", "--noheader", "--array", "--format=%i").Output()
	if err != nil {
		t.Fatal(err)
	}
	jobs := strings.Fields(string(out))
	slices.Sort(jobs)
	return jobs
}

// empty wants no worker left.
func (s *slurmCluster) empty(t *testing.T) {
	t.Helper()
	eventually(t, "an empty queue", func() bool { return len(s.jobs(t)) == 0 && len(s.workers("")) == 0 })
}
