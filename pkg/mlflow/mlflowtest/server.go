// Package mlflowtest is an MLflow server for tests: as much of the REST interface as pkg/mlflow uses, with the rules of the real
// one, beside which TestReal of pkg/mlflow sets it.
//
//	server := mlflowtest.New(t)
//	server.Break(func(r *http.Request) int { return http.StatusInternalServerError })
//	run := server.Runs()[0]
package mlflowtest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Server is a server in memory.
type Server struct {
	*httptest.Server
	// ArtifactRoot begins the addresses of runs' files.
	ArtifactRoot string

	mu          sync.Mutex
	broken      func(r *http.Request) int
	experiments []string // their names; an id is the place in it, from 1
	runs        []*Run
	requests    []string
}

// Run is what the server has of a run.
type Run struct {
	ID, Experiment, Name, Status, Lifecycle string

	Start, End   int64 // milliseconds since 1970
	Params, Tags map[string]string
	Metrics      map[string][]Metric // by their keys, as they came
	Files        map[string][]byte
}

// Metric is one point.
type Metric struct {
	Value           string // as JSON has it
	Timestamp, Step int64
}

// New starts a server, which ends with the test.
func New(t testing.TB) *Server {
	s := &Server{ArtifactRoot: "mlflow-artifacts:/"}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// Break asks broken before each request, from now on; nil ends that. Where it returns a status that is not 0, that is the answer;
// with [Lost], the request is carried out and the connection dropped.
func (s *Server) Break(broken func(r *http.Request) int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = broken
}

// Lost is the status of an answer that gets lost.
const Lost = -1

// Runs are those that the server has.
func (s *Server) Runs() []Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	var runs []Run
	for _, r := range s.runs {
		one := *r
		one.Params, one.Tags, one.Metrics, one.Files = maps.Clone(r.Params), maps.Clone(r.Tags), maps.Clone(r.Metrics), maps.Clone(r.Files)
		runs = append(runs, one)
	}
	return runs
}

// Requests are the method and path of each request, in their order.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Forget forgets everything, as one whose database was thrown away.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.experiments, s.runs = nil, nil
}

// Delete moves a run to the deleted ones.
func (s *Server) Delete(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run(id).Lifecycle = "deleted"
}

// refusal is an answer that is none.
type refusal struct {
	status        int
	code, message string
}

// ServeHTTP answers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	broken := s.broken
	s.mu.Unlock()
	status := 0
	if broken != nil {
		status = broken(r) // it may take its time
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	if status > 0 {
		http.Error(w, "broken", status)
		return
	}
	defer func() {
		switch refused := recover().(type) {
		case nil:
		case refusal:
			w.WriteHeader(refused.status)
			json.NewEncoder(w).Encode(map[string]string{"error_code": refused.code, "message": refused.message})
		default:
			panic(refused)
		}
	}()
	answer := s.answer(r)
	if status == Lost {
		panic(http.ErrAbortHandler)
	}
	json.NewEncoder(w).Encode(answer)
}

func invalid(format string, args ...any) refusal {
	return refusal{http.StatusBadRequest, "INVALID_PARAMETER_VALUE", fmt.Sprintf(format, args...)}
}

// question is all that a request may ask.
type question struct {
	Name          string   `json:"name"`
	ExperimentID  string   `json:"experiment_id"`
	ExperimentIDs []string `json:"experiment_ids"`
	Filter        string   `json:"filter"`
	RunID         string   `json:"run_id"`
	RunName       string   `json:"run_name"`
	Status        string   `json:"status"`
	StartTime     int64    `json:"start_time"`
	EndTime       int64    `json:"end_time"`
	Tags          []pair   `json:"tags"`
	Params        []pair   `json:"params"`
	Metrics       []struct {
		Key       string          `json:"key"`
		Value     json.RawMessage `json:"value"`
		Timestamp int64           `json:"timestamp"`
		Step      int64           `json:"step"`
	} `json:"metrics"`
}

type pair struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func (s *Server) answer(r *http.Request) any {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(invalid("%v", err))
	}
	if name, found := strings.CutPrefix(r.URL.Path, "/api/2.0/mlflow-artifacts/artifacts/"); found {
		parts := strings.SplitN(name, "/", 4) // experiment, run, "artifacts", file
		if r.Method != http.MethodPut || len(parts) != 4 || parts[2] != "artifacts" {
			panic(invalid("no place for a file: %s", name))
		}
		s.run(parts[1]).Files[parts[3]] = body
		return struct{}{}
	}
	var q question
	if r.Method == http.MethodPost {
		if err := json.Unmarshal(body, &q); err != nil {
			panic(invalid("%v", err))
		}
	}
	switch function, _ := strings.CutPrefix(r.URL.Path, "/api/2.0/mlflow/"); function {
	case "experiments/get-by-name":
		name := r.URL.Query().Get("experiment_name")
		i := slices.Index(s.experiments, name)
		if i < 0 {
			panic(missing("experiment " + name))
		}
		return map[string]any{"experiment": map[string]string{"experiment_id": strconv.Itoa(i + 1), "name": name, "lifecycle_stage": "active"}}
	case "experiments/create":
		if slices.Contains(s.experiments, q.Name) {
			panic(refusal{http.StatusBadRequest, "RESOURCE_ALREADY_EXISTS", q.Name})
		}
		s.experiments = append(s.experiments, q.Name)
		return map[string]string{"experiment_id": strconv.Itoa(len(s.experiments))}
	case "runs/create":
		id, err := strconv.Atoi(q.ExperimentID)
		if err != nil || id < 1 || id > len(s.experiments) {
			panic(missing("experiment " + q.ExperimentID))
		}
		made := &Run{
			ID: fmt.Sprintf("%032x", len(s.runs)+1), Experiment: s.experiments[id-1], Name: q.RunName, Status: "RUNNING", Lifecycle: "active", Start: q.StartTime,
			Params: map[string]string{}, Tags: map[string]string{}, Metrics: map[string][]Metric{}, Files: map[string][]byte{},
		}
		for _, tag := range q.Tags {
			made.Tags[tag.Key] = tag.Value
		}
		s.runs = append(s.runs, made)
		return map[string]any{"run": s.message(made)}
	case "runs/get":
		return map[string]any{"run": s.message(s.run(r.URL.Query().Get("run_id")))}
	case "runs/search":
		return s.search(q)
	case "runs/log-batch":
		s.logBatch(q)
		return struct{}{}
	case "runs/update":
		found := s.active(q.RunID)
		found.Status, found.End = q.Status, q.EndTime
		return struct{}{}
	}
	panic(refusal{http.StatusNotFound, "ENDPOINT_NOT_FOUND", r.URL.Path})
}

func missing(what string) refusal {
	return refusal{http.StatusNotFound, "RESOURCE_DOES_NOT_EXIST", what + " is not there"}
}

func (s *Server) run(id string) *Run {
	i := slices.IndexFunc(s.runs, func(r *Run) bool { return r.ID == id })
	if i < 0 {
		panic(missing("run " + id))
	}
	return s.runs[i]
}

func (s *Server) active(id string) *Run {
	found := s.run(id)
	if found.Lifecycle != "active" {
		panic(invalid("The run %s must be in the 'active' state", id))
	}
	return found
}

// search knows filters of one tag.
func (s *Server) search(q question) any {
	key, value, _ := strings.Cut(q.Filter, " = ")
	key, value = strings.Trim(strings.TrimPrefix(key, "tags."), "`"), strings.Trim(value, "'")
	var found []any
	for _, r := range s.runs {
		in := strconv.Itoa(slices.Index(s.experiments, r.Experiment) + 1)
		if r.Tags[key] == value && slices.Contains(q.ExperimentIDs, in) {
			found = append(found, s.message(r))
		}
	}
	if found == nil {
		return struct{}{} // MLflow leaves an empty list out
	}
	return map[string]any{"runs": found}
}

func (s *Server) logBatch(q question) {
	into := s.active(q.RunID)
	if len(q.Params) > 100 || len(q.Tags) > 100 || len(q.Metrics) > 1000 || len(q.Params)+len(q.Tags)+len(q.Metrics) > 1000 {
		panic(invalid("too much for a batch"))
	}
	for _, m := range q.Metrics {
		if len(m.Key) > 250 || strings.ContainsAny(m.Key, "()[]{}=<>|\\\"'\n") {
			panic(invalid("Invalid value %q for parameter 'metrics[0].name'", m.Key))
		}
	}
	for _, param := range q.Params {
		if before, found := into.Params[param.Key]; found && before != param.Value {
			panic(invalid("Changing param values is not allowed: %s", param.Key))
		}
	}
	for _, m := range q.Metrics {
		point := Metric{strings.Trim(string(m.Value), `"`), m.Timestamp, m.Step}
		if !slices.Contains(into.Metrics[m.Key], point) {
			into.Metrics[m.Key] = append(into.Metrics[m.Key], point)
		}
	}
	for _, param := range q.Params {
		into.Params[param.Key] = param.Value
	}
	for _, tag := range q.Tags {
		into.Tags[tag.Key] = tag.Value
	}
}

func (s *Server) message(r *Run) any {
	pairs := func(of map[string]string) (all []pair) {
		for key, value := range of {
			all = append(all, pair{key, value})
		}
		return all
	}
	var metrics []any
	for key, points := range r.Metrics {
		newest := slices.MaxFunc(points, func(a, b Metric) int { return int(a.Step - b.Step) })
		metrics = append(metrics, map[string]any{"key": key, "step": newest.Step})
	}
	experiment := strconv.Itoa(slices.Index(s.experiments, r.Experiment) + 1)
	return map[string]any{
		"info": map[string]any{
			"run_id": r.ID, "experiment_id": experiment, "status": r.Status, "lifecycle_stage": r.Lifecycle,
			"artifact_uri": s.ArtifactRoot + experiment + "/" + r.ID + "/artifacts",
		},
		"data": map[string]any{"metrics": metrics, "params": pairs(r.Params), "tags": pairs(r.Tags)},
	}
}
