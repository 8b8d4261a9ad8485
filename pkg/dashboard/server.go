// Package dashboard serves web pages of runs: a table of all runs below some folders, a page for each, live while it trains, and comparisons.
//
//	server, err := dashboard.New(dashboard.Options{Roots: []string{"runs", "sweeps"}})
//	err = server.Serve(ctx, listener)
//
// Promised: a file of a run is read only where it lies in the run's folder; whatever files hold is escaped; a damaged run hides no other. Nothing in the folders is changed. A server that others can reach answers only
// to those who have its token.
//
// What is not here: what is in a run's folder (pkg/rundir), and pages that need no server (pkg/report).
package dashboard

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"embed"
	"errors"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"latent/pkg/chart"
)

// Options say what is served. The zero value serves nothing.
type Options struct {
	// Roots are the folders of runs and sweeps.
	Roots []string
	// Index is a file that keeps what was read of runs, for a quick start; "" keeps it in memory alone.
	Index string
	// Token is what requests must know; "" for a server on a loopback address, which only this machine reaches.
	Token string
	// Every is how often folders are looked at; 0 is once a second.
	Every time.Duration
	// Log takes what goes wrong; nil discards it.
	Log *slog.Logger
}

// Server is a dashboard.
type Server struct {
	options Options
	index   *index
	curves  curveCache
	handler http.Handler
	hosts   map[string]bool // that requests may name; nil for any
}

//go:embed app.js app.css uplot.js uplot.css uplot.LICENSE icon.svg
var static embed.FS

//go:embed *.tmpl
var pageFiles embed.FS

// New reads what is known of the runs. It looks at the folders when it serves.
func New(options Options) (*Server, error) {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.Every == 0 {
		options.Every = time.Second
	}
	var roots []string
	for _, root := range options.Roots {
		absolute, err := filepath.Abs(root)
		if err != nil {
			return nil, err
		}
		roots = append(roots, absolute)
	}
	s := &Server{options: options, index: openIndex(roots, options.Index, options.Log)}
	s.handler = s.guarded(s.routes())
	return s, nil
}

// Close ends reading and writing the index.
func (s *Server) Close() { s.index.close() }

// Serve answers requests until ctx ends.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	s.hosts = hostsOf(listener.Addr(), s.options.Token)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go s.index.follow(ctx, s.options.Every)
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx }, ErrorLog: slog.NewLogLogger(s.options.Log.Handler(), slog.LevelWarn),
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		ending, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if server.Shutdown(ending) != nil {
			server.Close()
		}
	}()
	err := server.Serve(listener)
	cancel()
	<-stopped
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// hostsOf are the hosts that a request may be for: the address, and localhost where that is a loopback address; nil, which is any, for a server with
// a token on all addresses. A page of another site whose name was made to lead here asks for that name, and is refused.
func hostsOf(addr net.Addr, token string) map[string]bool {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return map[string]bool{}
	}
	ip := net.ParseIP(host)
	switch {
	case ip != nil && ip.IsLoopback():
		return map[string]bool{"127.0.0.1:" + port: true, "localhost:" + port: true, "[::1]:" + port: true, net.JoinHostPort(host, port): true}
	case token != "":
		return nil
	}
	return map[string]bool{net.JoinHostPort(host, port): true}
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// routes are the pages.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.runsPage)
	mux.HandleFunc("GET /run/{key...}", s.runPage)
	mux.HandleFunc("GET /compare", s.comparePage)
	mux.HandleFunc("GET /picture/{folder}/{name}/{key...}", s.picture)
	mux.HandleFunc("GET /curves/{key...}", s.curvesJSON)
	mux.HandleFunc("GET /events", s.events)
	mux.HandleFunc("GET /api/runs", s.apiRuns)
	mux.HandleFunc("GET /api/runs/{key...}", s.apiRun)
	mux.HandleFunc("GET /static/style.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Write([]byte(chart.Style))
	})
	files := http.StripPrefix("/static/", http.FileServerFS(static))
	mux.HandleFunc("GET /static/{file}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		files.ServeHTTP(w, r)
	})
	return mux
}

// policy is what pages may do: scripts and styles are files of ours alone.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// tokenCookie keeps the token in the browser.
const tokenCookie = "latent-token"

// guarded refuses requests that are not for this server, that do not know its token, or that come from pages of others and would change something.
func (s *Server) guarded(next http.Handler) http.Handler {
	next = http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		switch {
		case s.hosts != nil && !s.hosts[r.Host]:
			http.Error(w, "this server answers to its own address alone", http.StatusMisdirectedRequest)
		case s.options.Token == "":
			next.ServeHTTP(w, r)
		case r.Method == http.MethodGet && r.URL.Query().Has("token") && s.knows(r.URL.Query().Get("token")):
			http.SetCookie(w, &http.Cookie{Name: tokenCookie, Value: s.options.Token, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
			query := r.URL.Query()
			query.Del("token") // out of the address bar, and of what is copied from it
			r.URL.RawQuery = query.Encode()
			http.Redirect(w, r, r.URL.RequestURI(), http.StatusSeeOther)
		case s.knows(sentToken(r)):
			next.ServeHTTP(w, r)
		default:
			http.Error(w, "the token is missing or wrong: open the address that latent serve printed, or send Authorization: Bearer TOKEN", http.StatusUnauthorized)
		}
	})
}

// knows says whether a token is the server's, in the same time whatever it is.
func (s *Server) knows(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(s.options.Token)) == 1
}

// sentToken is the token that a request has in its cookie or its header.
func sentToken(r *http.Request) string {
	if token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); found {
		return token
	}
	if cookie, err := r.Cookie(tokenCookie); err == nil {
		return cookie.Value
	}
	return ""
}

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"number": number, "duration": duration, "ago": ago, "percent": percent, "spark": spark,
}).ParseFS(pageFiles, "*.tmpl"))

// NewToken returns a token of 128 random bits.
func NewToken() string { return rand.Text() }
