package mlflow

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Server is an MLflow tracking server, and what is known of it. Several goroutines may use one.
type Server struct {
	uri    string
	client *http.Client
	header http.Header

	mu          sync.Mutex
	experiments map[string]string // their ids by name
}

// ErrUnreachable says that a server gave no answer of use, and may give one later.
var ErrUnreachable = errors.New("does not answer")

// Bounds of what a server may take and send.
const (
	requestTime = 10 * time.Second
	uploadTime  = 60 * time.Second // of a file
	maxAnswer   = 8 << 20
	maxQuoted   = 200 // of an answer in an error
)

// CheckURI says what is wrong with the address of a server, and what to write instead.
func CheckURI(uri string) error {
	const example = "such as http://127.0.0.1:5000"
	parsed, err := url.Parse(uri)
	switch {
	case err != nil:
		return errors.New("is not a URI; write that of an MLflow server, " + example) // the error of Parse would quote a password
	case parsed.User != nil:
		return errors.New("contains a user or a password, which would be written into every run's folder; " +
			"remove them, and set the environment variables MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")
	case parsed.Scheme != "http" && parsed.Scheme != "https":
		return errors.New("must be the URI of an MLflow server, " + example +
			"; to keep runs in a file or a database, start one on it: mlflow server --backend-store-uri sqlite:///mlflow.db")
	case parsed.Hostname() == "":
		return errors.New("has no host; write the URI of an MLflow server, " + example)
	case parsed.Port() != "" && !isPort(parsed.Port()):
		return fmt.Errorf("has the port %.20s; ports are 1 to 65535; write the URI of an MLflow server, %s", parsed.Port(), example)
	case parsed.RawQuery != "" || parsed.Fragment != "" || parsed.ForceQuery:
		return errors.New("has a '?' or a '#'; write only the server's address, " + example)
	}
	return nil
}

// isPort says whether a text is the number of a port.
func isPort(text string) bool {
	port, err := strconv.ParseUint(text, 10, 16)
	return err == nil && port > 0
}

// NewServer returns the server at an address. Who we are comes from the environment, as MLflow's own client has it:
// MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or else MLFLOW_TRACKING_TOKEN.
func NewServer(uri string) (*Server, error) {
	if err := CheckURI(uri); err != nil {
		return nil, fmt.Errorf("MLflow at %q %w", redacted(uri), err)
	}
	s := &Server{uri: strings.TrimRight(uri, "/"), header: http.Header{"User-Agent": {"latent"}}, experiments: map[string]string{}}
	request := http.Request{Header: s.header}
	user, password, token := os.Getenv("MLFLOW_TRACKING_USERNAME"), os.Getenv("MLFLOW_TRACKING_PASSWORD"), os.Getenv("MLFLOW_TRACKING_TOKEN")
	switch {
	case user != "" && password != "":
		request.SetBasicAuth(user, password)
	case token != "":
		s.header.Set("Authorization", "Bearer "+token)
	}
	// A redirect is told, not followed: it would carry the credentials to where nobody wrote that they go.
	s.client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return s, nil
}

// redacted is an address for an error, without what may be a password.
func redacted(uri string) string {
	if at := strings.LastIndexByte(uri, '@'); at >= 0 {
		return "…" + uri[at:]
	}
	return uri
}

// URI is the server's address.
func (s *Server) URI() string { return s.uri }

// answerError is an answer that is none to the question.
type answerError struct {
	status int
	code   string // MLflow's own, such as RESOURCE_DOES_NOT_EXIST; "" where it has none
	text   string
}

func (e *answerError) Error() string { return e.text }

// hasCode says whether an error is an answer with one of MLflow's codes.
func hasCode(err error, code string) bool {
	var answer *answerError
	return errors.As(err, &answer) && answer.code == code
}

const (
	codeMissing = "RESOURCE_DOES_NOT_EXIST"
	codeExists  = "RESOURCE_ALREADY_EXISTS"
)

// call asks one of MLflow's functions, such as runs/create. A question that is not nil goes as JSON; the answer is read into the
// last argument.
func (s *Server) call(ctx context.Context, method, function string, question, answer any) error {
	var body []byte
	if question != nil {
		var err error
		if body, err = json.Marshal(question); err != nil {
			return fmt.Errorf("ask MLflow for %s: %w", function, err)
		}
	}
	data, err := s.do(ctx, requestTime, method, "/api/2.0/mlflow/"+function, body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("%s answers %s with an unexpected reply: %s; is it an MLflow server?", s.uri, function, quoted(data))
	}
	return nil
}

// do sends a request and returns the answer's body.
func (s *Server) do(ctx context.Context, limit time.Duration, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, s.uri+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", s.uri, err)
	}
	request.Header = s.header.Clone()
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s %w: %w", s.uri, ErrUnreachable, plainly(err))
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("%s %w: %w", s.uri, ErrUnreachable, plainly(err))
	}
	if len(data) > maxAnswer {
		return nil, fmt.Errorf("%s answers %s with more than %d bytes; is it an MLflow server?", s.uri, path, maxAnswer)
	}
	return data, s.refusal(response, path, data)
}

// plainly leaves out the address, which is told already, and says what a time-out is.
func plainly(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var network *net.OpError
	if errors.As(err, &network) {
		err = network.Err
	}
	if errors.Is(err, context.Canceled) {
		return errNoTime
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return errors.New("it takes too long")
	}
	return err
}

// refusal is the error of an answer that is none; nil of others.
func (s *Server) refusal(response *http.Response, path string, data []byte) error {
	if response.StatusCode == http.StatusOK {
		return nil
	}
	var told struct {
		Code    string `json:"error_code"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(data, &told) // without it, the status tells
	said := quoted([]byte(told.Message))
	if told.Message == "" {
		said = quoted(data)
	}
	refused := &answerError{status: response.StatusCode, code: told.Code}
	switch status := response.StatusCode; {
	case status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout:
		return fmt.Errorf("%s %w as expected: %s, %s", s.uri, ErrUnreachable, response.Status, said)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		refused.text = fmt.Sprintf("%s refuses (%s, %s); set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, "+
			"for a user with write access, and check that it is an MLflow server", s.uri, response.Status, said)
	case status >= 300 && status < 400:
		refused.text = fmt.Sprintf("%s redirects to %s, which is not followed; if that is right, use it as the server's URI", s.uri, quoted([]byte(response.Header.Get("Location"))))
	case told.Code == "":
		refused.text = fmt.Sprintf("%s answers %s with %s, %s; is it an MLflow server, and is its path complete?", s.uri, path, response.Status, said)
	default:
		refused.text = fmt.Sprintf("%s refuses %s: %s", s.uri, path, said)
	}
	return refused
}

// quoted is the beginning of what a server said.
func quoted(data []byte) string {
	if len(data) == 0 {
		return "nothing"
	}
	if len(data) > maxQuoted {
		return fmt.Sprintf("%.*q…", maxQuoted, data[:maxQuoted])
	}
	return fmt.Sprintf("%q", data)
}

// Messages of MLflow's REST interface, as far as they are read and written here.
type (
	keyValue struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	metric struct {
		Key       string `json:"key"`
		Value     any    `json:"value"` // a number, or "NaN"
		Timestamp int64  `json:"timestamp"`
		Step      int    `json:"step"`
	}
	runInfo struct {
		RunID        string `json:"run_id"`
		ExperimentID string `json:"experiment_id"`
		Status       string `json:"status"`
		ArtifactURI  string `json:"artifact_uri"`
		Lifecycle    string `json:"lifecycle_stage"`
	}
	runMessage struct {
		Info runInfo `json:"info"`
		Data struct {
			Metrics []struct {
				Key  string      `json:"key"`
				Step json.Number `json:"step"`
			} `json:"metrics"`
			Params []keyValue `json:"params"`
			Tags   []keyValue `json:"tags"`
		} `json:"data"`
	}
	batch struct {
		RunID   string     `json:"run_id"`
		Metrics []metric   `json:"metrics,omitempty"`
		Params  []keyValue `json:"params,omitempty"`
		Tags    []keyValue `json:"tags,omitempty"`
	}
)

// experiment returns the id of the experiment of a name, which is made where there is none.
func (s *Server) experiment(ctx context.Context, name string) (string, error) {
	s.mu.Lock()
	id := s.experiments[name]
	s.mu.Unlock()
	if id != "" {
		return id, nil
	}
	id, err := s.experimentOf(ctx, name)
	if hasCode(err, codeMissing) {
		var made struct {
			ID string `json:"experiment_id"`
		}
		err = s.call(ctx, http.MethodPost, "experiments/create", map[string]string{"name": name}, &made)
		id = made.ID
		if hasCode(err, codeExists) { // another process was faster
			id, err = s.experimentOf(ctx, name)
		}
	}
	if err == nil && id == "" {
		err = fmt.Errorf("%s returns no experiment_id for %q; is it an MLflow server?", s.uri, name)
	}
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	s.experiments[name] = id
	s.mu.Unlock()
	return id, nil
}

func (s *Server) experimentOf(ctx context.Context, name string) (string, error) {
	var found struct {
		Experiment struct {
			ID        string `json:"experiment_id"`
			Lifecycle string `json:"lifecycle_stage"`
		} `json:"experiment"`
	}
	err := s.call(ctx, http.MethodGet, "experiments/get-by-name?experiment_name="+url.QueryEscape(name), nil, &found)
	if err == nil && found.Experiment.Lifecycle == deleted {
		return "", fmt.Errorf("%s has deleted the experiment %q; restore it there (mlflow experiments restore --experiment-id %s), or give the config another name",
			s.uri, name, found.Experiment.ID)
	}
	return found.Experiment.ID, err
}

// deleted is the lifecycle stage of what somebody has thrown away on the server.
const deleted = "deleted"

// proxied is the scheme of artifacts that go through the server.
const proxied = "mlflow-artifacts"

// artifactPath is where the server takes the files of a run, by the address that it gave; "" where it does not.
func artifactPath(artifactURI string) string {
	parsed, err := url.Parse(artifactURI)
	if err != nil || parsed.Scheme != proxied || parsed.Host != "" {
		return ""
	}
	// The server chooses where in itself; not to be led to another of its functions.
	inside := strings.TrimPrefix(parsed.Path, "/")
	if inside == "" || path.Clean("/" + inside)[1:] != inside {
		return ""
	}
	return "/api/2.0/mlflow-artifacts/artifacts/" + (&url.URL{Path: inside}).EscapedPath()
}
