package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"latent/pkg/config"
	"latent/pkg/rundir"
)

// made is a run to make.
type made struct {
	name   string
	minute int
	psnr   float64
	state  rundir.State
	config []string // overrides
	epochs int
}

// makeRun makes the folder of a run below a root, and returns its path.
func makeRun(t testing.TB, root string, m made) string {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(root, m.name, fmt.Sprintf("2026-11-24T10-%02d-00-%04x", m.minute, m.minute))
	run, err := rundir.CreateAt(path, false)
	must(err)
	defer run.Close()
	e, err := config.Parse("test.yaml", []byte("name: x"), m.config...)
	must(err)
	yaml, err := e.YAML()
	must(err)
	must(run.WriteConfig(yaml))
	manifest := rundir.NewManifest()
	manifest.Name, manifest.State, manifest.Seed = m.name, m.state, 42
	manifest.Started = time.Date(2026, 11, 24, 10, m.minute, 0, 0, time.UTC)
	manifest.ConfigSHA256 = "x"
	manifest.Result.Test = map[string]rundir.Number{"psnr": rundir.Number(m.psnr)}
	for i := range m.epochs {
		loss := rundir.Number(1 / float64(i+1))
		must(run.AppendEpoch(rundir.Epoch{Epoch: i + 1, Step: 10 * (i + 1), Seconds: 2, TrainLoss: loss, ValLoss: &loss}))
	}
	must(run.WriteManifest(manifest))
	return path
}

// server is one of a folder, whose index is up to date.
func server(t testing.TB, options Options) *Server {
	t.Helper()
	s, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.index.refresh(t.Context())
	s.index.fill(t.Context())
	return s
}

// get returns the status and the text of an answer.
func get(t testing.TB, s *Server, address string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", address, nil))
	return w.Code, w.Body.String()
}

// names are those of rows in their order.
func names(rows []*Row) string {
	var all []string
	for _, row := range rows {
		all = append(all, row.Manifest.Name)
	}
	return strings.Join(all, " ")
}

// The index finds new runs, reads what has changed, drops what is gone, and knows all of it at the next start, without reading it again.
func TestIndex(t *testing.T) {
	root, file := t.TempDir(), filepath.Join(t.TempDir(), "cache", "index.db")
	options := Options{Roots: []string{root}, Index: file}
	a := makeRun(t, root, made{name: "a", minute: 1, psnr: 20, state: rundir.Done, epochs: 3, config: []string{"train.learning_rate=0.01"}})
	b := makeRun(t, root, made{name: "b", minute: 2, psnr: 22, state: rundir.Done, epochs: 100})
	s := server(t, options)
	rows, version := s.index.all()
	if names(rows) != "b a" {
		t.Fatalf("rows %s, want b a", names(rows))
	}
	if row := rows[1]; row.Config["train.learning_rate"] != 0.01 || row.Value("test.psnr") != 20. || !slices.Equal(row.Spark, []float64{1, 0.5, 1. / 3}) {
		t.Errorf("a is %+v, %+v", row, row.Record)
	}
	if n := len(rows[0].Spark); n != sparkPoints || rows[0].Spark[n-1] != 0.01 {
		t.Errorf("the sparkline of 100 epochs is %v", rows[0].Spark)
	}
	s.index.refresh(t.Context())
	s.index.fill(t.Context())
	if _, now := s.index.all(); now != version {
		t.Error("nothing has changed, and the index has")
	}
	if err := os.RemoveAll(b); err != nil {
		t.Fatal(err)
	}
	makeRun(t, root, made{name: "c", minute: 3, state: rundir.Failed})
	s.index.refresh(t.Context())
	if rows, _ := s.index.all(); names(rows) != "c a" {
		t.Errorf("rows %s, want c a", names(rows))
	}
	s.Close()

	// At the next start it is known without the folder.
	if err := os.Rename(a, a+".moved"); err != nil {
		t.Fatal(err)
	}
	again, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if rows, _ := again.index.all(); names(rows) != "c a" || rows[1].Config["train.learning_rate"] != 0.01 || rows[1].Key != s.index.keyOf(a) {
		t.Errorf("at the next start: %s", names(rows))
	}
	// A damaged file is begun anew.
	again.Close()
	if err := os.WriteFile(file, []byte("no database at all, and long enough to be looked at"), 0o644); err != nil {
		t.Fatal(err)
	}
	if rows, _ := server(t, options).index.all(); len(rows) != 2 {
		t.Errorf("with a damaged file: %s", names(rows))
	}
}

// The table is filtered, sorted, grouped and paged by its address alone, and its links keep what it does not change.
func TestView(t *testing.T) {
	root := t.TempDir()
	for i, psnr := range []float64{21, 23, 22} {
		makeRun(t, root, made{name: string("xyz"[i]), minute: i + 1, psnr: psnr, state: rundir.Done, config: []string{fmt.Sprintf("train.batch_size=%d", 64<<(i%2))}})
	}
	s := server(t, Options{Roots: []string{root}})
	rows := func(query string) string {
		_, text := get(t, s, "http://example.test/api/runs"+query)
		var answer struct{ Runs []rowJSON }
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var all []string
		for _, row := range answer.Runs {
			all = append(all, row.Fields["name"].(string))
		}
		return strings.Join(all, " ")
	}
	for query, want := range map[string]string{
		"": "z y x", "?sort=psnr": "y z x", "?sort=test.psnr&reverse=1": "x z y", "?sort=train.batch_size": "z x y",
		"?where=" + url.QueryEscape("psnr > 21 && train.batch_size == 64"): "z", "?where=name+==+y": "y", "?page=1": "",
	} {
		if got := rows(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for address, want := range map[string]string{"/?where=nmae==x": "nmae is no field; did you mean name?", "/?sort=nothing": "nothing is no field", "/?where=((": "character"} {
		if status, page := get(t, s, address); status != http.StatusOK || !strings.Contains(page, want) {
			t.Errorf("%s: %d, no %q", address, status, want)
		}
	}
	if status, text := get(t, s, "/api/runs?where=(("); status != http.StatusBadRequest || !strings.Contains(text, "character") {
		t.Errorf("%d %s", status, text)
	}
	status, page := get(t, s, "/?sort=test.psnr&group=train.batch_size&columns=test.psnr")
	for _, want := range []string{"train.batch_size = 64", "train.batch_size = 128", `aria-sort="descending"`, "sort=name", "columns=test.psnr", "group=train.batch_size"} {
		if status != http.StatusOK || !strings.Contains(page, want) {
			t.Errorf("status %d; no %s in the page", status, want)
		}
	}
	if _, page := get(t, s, "/"); !strings.Contains(page, ">train.batch_size</a>") || strings.Contains(page, ">train.epochs</a>") {
		t.Error("the columns are not those that differ")
	}
}

// A run's page, its curves and pictures come from its folder, and from nowhere else; what files hold is escaped.
func TestRunPage(t *testing.T) {
	root := t.TempDir()
	path := makeRun(t, root, made{name: "a", minute: 1, psnr: 20, state: rundir.Done, epochs: 2})
	secret := filepath.Join(root, "secret.png")
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := (&rundir.Run{Path: path}).SaveSample("final", []byte("\x89PNG")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(path, "samples", "linked.png")); err != nil {
		t.Fatal(err)
	}
	run := &rundir.Run{Path: path}
	m, err := run.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	m.Error, m.Command = "<script>alert(1)</script>", "<b>"
	if err := run.WriteManifest(m); err != nil {
		t.Fatal(err)
	}
	s := server(t, Options{Roots: []string{root}})
	rows, _ := s.index.all()
	key := rows[0].Key
	status, page := get(t, s, "/run/"+key)
	if status != http.StatusOK || strings.Contains(page, "<script>alert") || !strings.Contains(page, "&lt;script&gt;alert(1)") {
		t.Errorf("status %d, page %s", status, page)
	}
	if status, text := get(t, s, "/curves/"+key); status != http.StatusOK || !strings.Contains(text, `"steps":[10,20],"seconds":[2,4]`) || !strings.Contains(text, `"validation/loss":[1,0.5]`) {
		t.Errorf("curves: %d %s", status, text)
	}
	if status, _ := get(t, s, "/compare?run="+key+"&run=0/no/such"); status != http.StatusOK {
		t.Errorf("compare: %d", status)
	}
	for address, want := range map[string]int{
		"/picture/samples/final/" + key: 200, "/picture/samples/linked/" + key: 404, "/picture/samples/..%2F..%2Fsecret/" + key: 404,
		"/run/0/../../etc/passwd": 307, "/run/0/%2e%2e/%2e%2e/etc": 404, "/run/1/a": 404, "/curves/0/secret.png": 404, "/static/../server.go": 307, "/nowhere": 404, "/compare": 400,
	} {
		if status, text := get(t, s, address); status != want || strings.Contains(text, "secret.png\n") {
			t.Errorf("%s: %d, want %d", address, status, want)
		}
	}
}

// Requests for other hosts, from other sites' pages and without the token are refused, and what is sent allows no script of anybody else.
func TestGuards(t *testing.T) {
	s := server(t, Options{Roots: []string{t.TempDir()}})
	s.hosts = map[string]bool{"127.0.0.1:8484": true, "localhost:8484": true}
	do := func(s *Server, method, host, address string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, address, nil)
		r.Host = host
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	if w := do(s, "GET", "evil.example", "/"); w.Code != http.StatusMisdirectedRequest {
		t.Errorf("another host: %d", w.Code)
	}
	w := do(s, "GET", "localhost:8484", "/")
	if w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Content-Security-Policy"), "script-src 'self';") || strings.Contains(w.Header().Get("Content-Security-Policy"), "unsafe") {
		t.Errorf("%d, policy %q", w.Code, w.Header().Get("Content-Security-Policy"))
	}
	if strings.Contains(w.Body.String(), "style=") || strings.Contains(w.Body.String(), "<script>") {
		t.Error("the page has styles or scripts of its own, which its policy forbids")
	}
	if w := do(s, "POST", "localhost:8484", "/run/0/a", "Sec-Fetch-Site", "cross-site", "Origin", "http://evil.example"); w.Code != http.StatusForbidden {
		t.Errorf("from another site: %d", w.Code)
	}

	guarded := server(t, Options{Roots: []string{t.TempDir()}, Token: NewToken()})
	if len(guarded.options.Token) < 26 {
		t.Errorf("the token %s is short", guarded.options.Token)
	}
	for _, header := range [][]string{nil, {"Authorization", "Bearer wrong"}, {"Cookie", tokenCookie + "="}, {"Authorization", guarded.options.Token}} {
		for _, address := range []string{"/", "/api/runs", "/static/app.js", "/events", "/?token=", "/?token=wrong"} {
			if w := do(guarded, "GET", "box:1", address, header...); w.Code != http.StatusUnauthorized {
				t.Errorf("%s with %v: %d", address, header, w.Code)
			}
		}
	}
	w = do(guarded, "GET", "box:1", "/?where=a&token="+guarded.options.Token)
	cookie := w.Header().Get("Set-Cookie")
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/?where=a" || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") {
		t.Errorf("%d to %s with %s", w.Code, w.Header().Get("Location"), cookie)
	}
	sent, _, _ := strings.Cut(cookie, ";")
	for _, header := range [][]string{{"Cookie", sent}, {"Authorization", "Bearer " + guarded.options.Token}} {
		if w := do(guarded, "GET", "box:1", "/", header...); w.Code != http.StatusOK {
			t.Errorf("with %v: %d", header, w.Code)
		}
	}
}

// A reader hears of a new run within moments, and the server ends when it is told to.
func TestServe(t *testing.T) {
	root := t.TempDir()
	s := server(t, Options{Roots: []string{root}, Every: 10 * time.Millisecond})
	listening := httptest.NewUnstartedServer(nil).Listener
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx, listening) }()
	answer, err := http.Get("http://" + listening.Addr().String() + "/events")
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, len("data: 0\n\n"))
	if _, err := io.ReadFull(answer.Body, first); err != nil {
		t.Fatal(err)
	}
	makeRun(t, root, made{name: "new", minute: 1, state: rundir.Done})
	if _, err := io.ReadFull(answer.Body, first); err != nil || string(first) == "data: 0\n\n" {
		t.Errorf("told %q, %v", first, err)
	}
	answer.Body.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
