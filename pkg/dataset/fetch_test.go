package dataset

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// publish is a family with these files, the last two of which are pinned by MD5, and a mirror that has them.
func publish(t *testing.T, files [4][]byte) (*family, http.HandlerFunc) {
	t.Helper()
	f := &family{name: "test", classes: mnist.classes}
	byName := map[string][]byte{}
	for i, data := range files {
		f.files[i] = pin{name: mnist.files[i].name, size: int64(len(data))}
		if i < 2 {
			f.files[i].sha256 = sum(data)
		} else {
			digest := md5.Sum(data)
			f.files[i].md5 = hex.EncodeToString(digest[:])
		}
		byName[mnist.files[i].name] = data
	}
	return f, func(w http.ResponseWriter, r *http.Request) {
		data, ok := byName[path.Base(r.URL.Path)]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		w.Write(data)
	}
}

func mirror(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL + "/"
}

var small = [4][]byte{bytes.Repeat([]byte("images"), 5000), []byte("labels"), []byte("more images"), []byte("more labels")}

func TestFetchFallsToTheNextMirror(t *testing.T) {
	for name, c := range map[string]struct {
		bad  http.HandlerFunc
		want string
	}{
		"not found": {http.NotFound, "404 Not Found"},
		"cut off": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "30000")
			w.Write(small[0][:100])
		}, "interrupted after 100 of 30000 bytes"},
		"short, and honest about it": {func(w http.ResponseWriter, r *http.Request) { w.Write(small[0][:100]) }, "100 bytes with SHA-256"},
		"changed": {func(w http.ResponseWriter, r *http.Request) {
			w.Write(bytes.Repeat([]byte("images"), 4999))
			w.Write([]byte("virus!"))
		}, "30000 bytes with SHA-256 " + sum(append(bytes.Repeat([]byte("images"), 4999), "virus!"...)) + " instead of 30000 with " + sum(small[0])},
		"without end": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				w.Write(small[0])
			}
		}, "more than 30000 bytes"},
		"without a word": {func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no data for 500ms"},
		"stuck": {func(w http.ResponseWriter, r *http.Request) {
			w.Write(small[0][:100])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, "no data for 500ms"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // some cases wait
			f, good := publish(t, small)
			dir := t.TempDir()
			bad := mirror(t, c.bad)
			f.mirrors = []string{bad}
			err := fetcher{f, dir, nil, 500 * time.Millisecond}.fetch(t.Context())
			if err == nil {
				t.Fatal("no error from a bad mirror")
			}
			for _, want := range []string{"download test: no mirror provided train-images-idx3-ubyte.gz\n", bad + "train-images-idx3-ubyte.gz: ", c.want, "set data.dir or LATENT_DATA_DIR"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want it to say %q", err, want)
				}
			}
			if left := files(t, dir); left != ".lock" {
				t.Errorf("left in the folder: %s", left)
			}

			f.mirrors = append(f.mirrors, mirror(t, good))
			if err := (fetcher{f, dir, nil, 500 * time.Millisecond}).fetch(t.Context()); err != nil {
				t.Fatal(err)
			}
			for i, pin := range f.files {
				if _, data, err := pin.read(dir); err != nil || !bytes.Equal(data, small[i]) {
					t.Errorf("%s: %d bytes, %v", pin.name, len(data), err)
				}
			}
		})
	}
}

func files(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return strings.Join(names, " ")
}

func TestFetchNamesEveryMirror(t *testing.T) {
	f, _ := publish(t, small)
	f.mirrors = []string{mirror(t, http.NotFound), mirror(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) })}
	err := fetcher{f, t.TempDir(), nil, patience}.fetch(t.Context())
	for _, want := range []string{f.mirrors[0] + "train-images-idx3-ubyte.gz: 404 Not Found", f.mirrors[1] + "train-images-idx3-ubyte.gz: 503 Service Unavailable"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
	}
}

// TestFetchOnce has several downloads at once, as several processes would: each opens the lock anew.
func TestFetchOnce(t *testing.T) {
	f, good := publish(t, small)
	var requests atomic.Int32
	f.mirrors = []string{mirror(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		good(w, r)
	})}
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if err := (fetcher{f, dir, nil, patience}).fetch(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := requests.Load(); n != 4 {
		t.Errorf("%d requests for 4 files", n)
	}

	t.Run("and repairs", func(t *testing.T) {
		saveFile(t, dir, f.files[2].name, small[2][:3])
		saveFile(t, dir, f.files[2].name+".part", []byte("of a killed process"))
		if err := (fetcher{f, dir, nil, patience}).fetch(t.Context()); err != nil || requests.Load() != 5 {
			t.Errorf("%v after %d requests, want 5", err, requests.Load())
		}
		if left := files(t, dir); strings.Contains(left, ".part") {
			t.Errorf("left in the folder: %s", left)
		}
	})
}

func TestFetchStops(t *testing.T) {
	f, _ := publish(t, small)
	ctx, cancel := context.WithCancel(t.Context())
	f.mirrors = []string{mirror(t, func(w http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}), mirror(t, func(http.ResponseWriter, *http.Request) { t.Error("the next mirror was asked after the cancel") })}
	err := fetcher{f, t.TempDir(), nil, patience}.fetch(ctx)
	if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "mirror") {
		t.Errorf("got %v, want context.Canceled alone", err)
	}
}

func TestFetchShowsProgress(t *testing.T) {
	f, good := publish(t, small)
	f.mirrors = []string{mirror(t, func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("a little"))
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}), mirror(t, good)}
	var screen bytes.Buffer
	if err := (fetcher{f, t.TempDir(), &screen, patience}).fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	// One bar for each file of the good mirror; those of the bad one must not jump to the end.
	if n := strings.Count(screen.String(), "100%"); n != 4 {
		t.Errorf("%d bars at 100%%, want 4:\n%s", n, screen.String())
	}
	if !strings.Contains(screen.String(), "t10k-labels-idx1-ubyte.gz") {
		t.Errorf("the file's name is missing:\n%s", screen.String())
	}
}

func TestFetchIsPatientWithASlowMirror(t *testing.T) {
	f, good := publish(t, small)
	f.mirrors = []string{mirror(t, func(w http.ResponseWriter, r *http.Request) {
		if path.Base(r.URL.Path) != f.files[0].name {
			good(w, r)
			return
		}
		for part := range 10 { // half a second in all
			w.Write(small[0][part*3000 : (part+1)*3000])
			w.(http.Flusher).Flush()
			time.Sleep(50 * time.Millisecond)
		}
	})}
	if err := (fetcher{f, t.TempDir(), nil, 400 * time.Millisecond}).fetch(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestFetchLeavesNothingHalfWritten(t *testing.T) {
	f, good := publish(t, small)
	f.mirrors = []string{mirror(t, good)}
	dir := t.TempDir()
	saveFile(t, dir, f.files[0].name+"/in the way", nil)
	err := fetcher{f, dir, nil, patience}.fetch(t.Context())
	if err == nil || !strings.Contains(err.Error(), "save test: ") {
		t.Errorf("got %v", err)
	}
	if left := files(t, dir); left != ".lock "+f.files[0].name {
		t.Errorf("left in the folder: %s", left)
	}
}

// TestFetchOnlyReads has all the files in a folder where no lock can be made.
func TestFetchOnlyReads(t *testing.T) {
	f, _ := publish(t, small)
	dir := t.TempDir()
	saveFile(t, dir, ".lock/in the way", nil)
	for i, pin := range f.files {
		saveFile(t, dir, pin.name, small[i])
	}
	if err := (fetcher{f, dir, nil, patience}).fetch(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestPinHasASize: an MD5 sum alone does not keep out an attacker, who may append to a file.
func TestPinHasASize(t *testing.T) {
	f, _ := publish(t, small)
	pin := f.files[2]
	if err := pin.check(small[2]); err != nil {
		t.Error(err)
	}
	pin.size++
	if err := pin.check(small[2]); err == nil || !strings.Contains(err.Error(), "11 bytes with MD5") {
		t.Errorf("another size: got %v", err)
	}
}
