package command

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"latent/pkg/dashboard"
	"latent/pkg/experiment"
)

// dashboardPort is where the dashboard is served, unless that port is taken.
const dashboardPort = 8484

func newServe(c *console) *cobra.Command {
	var listen string
	var port int
	cmd := &cobra.Command{
		Use:   "serve [DIR …]",
		Short: "Show runs in the browser",
		Long: `Serve shows the runs below some folders, or below runs/ and sweeps/, as web pages: a table to filter, sort and group, a page for each run, live
while it trains, and comparisons. It changes nothing, and ends with Ctrl-C.

It listens on 127.0.0.1, which only this machine reaches. With --listen ADDRESS, others can open the printed address, which holds a token.`,
		Example: "  latent serve\n  latent serve runs /data/runs --port 9000\n  latent serve --listen 0.0.0.0",
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1", "address to listen on")
	cmd.Flags().IntVar(&port, "port", 0, fmt.Sprintf("port; 0 is %d, or any free one if that is taken", dashboardPort))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if port < 0 || port > 65535 {
			return usageError{fmt.Errorf("--port=%d: want 0 to 65535", port)}
		}
		for _, dir := range args {
			if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
				return experiment.InputError{Err: fmt.Errorf("there is no folder %s; which has the runs?", dir)}
			}
		}
		if len(args) == 0 {
			args = []string{runsDir, sweepsDir}
		}
		listener, err := listenOn(listen, port)
		if err != nil {
			return experiment.InputError{Err: err}
		}
		options := dashboard.Options{Roots: args, Log: slog.New(slog.NewTextHandler(c.stderr, nil))}
		if cache, err := os.UserCacheDir(); err == nil {
			options.Index = filepath.Join(cache, "latent", "dashboard.db")
		}
		address := "http://" + listener.Addr().String() + "/"
		if tcp, ok := listener.Addr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
			options.Token = dashboard.NewToken()
			address += "?token=" + options.Token
		}
		server, err := dashboard.New(options)
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		defer server.Close()
		fmt.Fprintln(c.stdout, address)
		return server.Serve(cmd.Context(), listener)
	}
	return cmd
}

// listenOn listens on an address: at a port, or, if that is 0, at the usual one, or any free one.
func listenOn(host string, port int) (net.Listener, error) {
	if port != 0 {
		return net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	}
	if listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(dashboardPort))); err == nil {
		return listener, nil
	}
	return net.Listen("tcp", net.JoinHostPort(host, "0"))
}
