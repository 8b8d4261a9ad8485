package command

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"latent/pkg/config"
	"latent/pkg/experiment"
	"latent/pkg/message"
	"latent/pkg/mlflow"
	"latent/pkg/rundir"
	"latent/pkg/runs"
)

func newTrack(c *console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "track",
		Short: "Tell other tools of runs",
	}
	cmd.AddCommand(newTrackSync(c))
	return cmd
}

func newTrackSync(c *console) *cobra.Command {
	var to string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "sync RUN|FOLDER …",
		Short: "Send an MLflow server what it does not have of runs",
		Long: `Sync sends the MLflow server that a run's config names, tracking.mlflow, what it does not have of the run: because it did not
answer, because the run was killed, or because nobody has sent it yet. Of a folder, it sends all runs in it and below; those
whose config names no server are passed over, unless --to names one.

It can be asked as often as one likes: a run is there once, and so is each of its figures. What runs at the moment is sent by its
own process, and what is damaged is told and passed over. Exit status 1 says that something is left to send.`,
		Example: "  latent track sync runs\n  latent track sync runs/quickstart/2026-11-24T10-15-30-7f3a --to http://127.0.0.1:5000",
		Args:    cobra.MinimumNArgs(1),
	}
	cmd.Flags().StringVar(&to, "to", "", "send to the server at this URI, whatever the config says")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what came of each run as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if to != "" {
			if err := mlflow.CheckURI(to); err != nil {
				return usageError{fmt.Errorf("--to %w", err)}
			}
		}
		s := &syncing{console: c, to: to, servers: map[string]*server{}, Runs: []synced{}}
		for _, arg := range args {
			if err := s.below(cmd.Context(), arg); err != nil {
				return err
			}
		}
		if asJSON {
			if err := printJSON(c, s); err != nil {
				return err
			}
		}
		return s.verdict()
	}
	return cmd
}

// syncing is a call of sync, and what came of it.
type syncing struct {
	console *console
	to      string
	servers map[string]*server

	Runs []synced `json:"runs"`
	// Untracked is how many runs name no server.
	Untracked int `json:"untracked"`
	// Damaged is how many runs cannot be read, and were passed over.
	Damaged int `json:"damaged"`
	// Left is how many runs have something left to send.
	Left int `json:"left"`
}

// server is a server, and why it is asked no more.
type server struct {
	*mlflow.Server
	gone error
}

// synced is what came of a run.
type synced struct {
	Path string `json:"path"`
	URI  string `json:"uri,omitempty"`
	mlflow.Sent
	Running bool   `json:"running,omitempty"` // its own process sends it
	Damaged bool   `json:"damaged,omitempty"` // it cannot be read, and was passed over
	Error   string `json:"error,omitempty"`
}

// below sends the runs in a folder and below it, the oldest first.
func (s *syncing) below(ctx context.Context, path string) error {
	entries, unread, err := runs.List(path)
	if err != nil {
		return experiment.InputError{Err: err}
	}
	for _, err := range unread {
		fmt.Fprintf(s.console.stderr, "passed over: %v\n", err)
	}
	if len(entries) == 0 {
		return experiment.InputError{Err: fmt.Errorf("%s: no runs in it; give the folder of a run, or one above it, such as runs", path)}
	}
	alone := len(entries) == 1 && filepath.Clean(entries[0].Path) == filepath.Clean(path)
	for i := len(entries) - 1; i >= 0; i-- {
		if err := ctx.Err(); err != nil {
			return err
		}
		one, tracked := s.one(ctx, entries[i])
		switch {
		case !tracked && alone:
			return experiment.InputError{Err: fmt.Errorf("%s: its config names no server as tracking.mlflow; name one with --to, such as --to http://127.0.0.1:5000", path)}
		case !tracked:
			s.Untracked++
			continue
		case one.Damaged && alone:
			return experiment.InputError{Err: errors.New(one.Error)}
		case one.Damaged:
			s.Damaged++
		case one.Error != "":
			s.Left++
		}
		s.Runs = append(s.Runs, one)
		s.tell(one)
	}
	return nil
}

// one sends a run; untracked is one whose config names no server.
func (s *syncing) one(ctx context.Context, entry runs.Entry) (one synced, tracked bool) {
	one.Path = entry.Path
	failed := func(err error) (synced, bool) {
		one.Error = err.Error()
		return one, true
	}
	damaged := func(err error) (synced, bool) {
		one.Damaged = true
		return failed(err)
	}
	if entry.Err != nil {
		return damaged(entry.Err)
	}
	folder, err := entry.Open()
	if err != nil {
		return damaged(err)
	}
	e, err := config.Load(folder.ConfigPath())
	if err != nil {
		return damaged(err)
	}
	one.URI = s.to
	if one.URI == "" {
		one.URI = e.Tracking.MLflow
	}
	if one.URI == "" {
		return one, false
	}
	if entry.State == rundir.Running {
		one.Running = true
		return one, true
	}
	to := s.servers[one.URI]
	if to == nil {
		opened, err := mlflow.NewServer(one.URI)
		if err != nil {
			return failed(err)
		}
		to = &server{Server: opened}
		s.servers[one.URI] = to
	}
	if to.gone != nil {
		return failed(to.gone)
	}
	one.Sent, err = to.Run(folder, e.Values).Send(ctx, false)
	if errors.Is(err, mlflow.ErrUnreachable) {
		to.gone = err // the others would wait for it as long
	}
	if err != nil {
		return failed(err)
	}
	return one, true
}

// tell tells a person of a run.
func (s *syncing) tell(one synced) {
	switch {
	case one.Running:
		fmt.Fprintf(s.console.stderr, "%s  runs at the moment, and is sent by its own process\n", one.Path)
	case one.Damaged:
		fmt.Fprintf(s.console.stderr, "%s  PASSED OVER: %s\n", one.Path, one.Error)
	case one.Error != "":
		fmt.Fprintf(s.console.stderr, "%s  NOT SENT: %s\n", one.Path, one.Error)
	case one.Figures == 0 && one.Files == 0:
		fmt.Fprintf(s.console.stderr, "%s  was there: %s\n", one.Path, one.URL)
	default:
		fmt.Fprintf(s.console.stderr, "%s  %s, %s: %s\n", one.Path, message.Count(one.Figures, "figure"), message.Count(one.Files, "file"), one.URL)
	}
	if one.Note != "" {
		fmt.Fprintf(s.console.stderr, "  %s\n", one.Note)
	}
}

// verdict is an error where something is left.
func (s *syncing) verdict() error {
	if s.Untracked > 0 {
		fmt.Fprintf(s.console.stderr, "%s no server in their configs, and were passed over; to send them too: --to URI\n", message.Count(s.Untracked, "run")+message.Choose(s.Untracked, " names", " name"))
	}
	if s.Damaged > 0 {
		fmt.Fprintf(s.console.stderr, "%s damaged, and %s passed over\n", message.Count(s.Damaged, "run")+message.Choose(s.Damaged, " is", " are"), message.Choose(s.Damaged, "was", "were"))
	}
	if s.Left > 0 {
		return fmt.Errorf("of %s, %d %s something left to send; nothing of them is lost, and the same command goes on", message.Count(len(s.Runs), "run"), s.Left, message.Choose(s.Left, "has", "have"))
	}
	return nil
}
