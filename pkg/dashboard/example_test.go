package dashboard_test

import (
	"fmt"
	"net/http/httptest"
	"os"

	"latent/pkg/dashboard"
)

// A server of a folder without runs, asked as a program asks it.
func Example() {
	dir, err := os.MkdirTemp("", "runs")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	server, err := dashboard.New(dashboard.Options{Roots: []string{dir}})
	if err != nil {
		panic(err)
	}
	defer server.Close()
	answer := httptest.NewRecorder()
	server.ServeHTTP(answer, httptest.NewRequest("GET", "/api/runs?where=psnr+%3E+20", nil))
	fmt.Print(answer.Body)
	// Output: {"count":0,"page":0,"runs":[]}
}
