//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package cache

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gomlx/compute/dtypes"
)

// childVariable names the cache of a process that a test starts: the same test, as another process.
const childVariable = "LATENT_TEST_CACHE"

// child is such a process.
type child struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// start runs the running test as another process, with a word for it.
func start(t *testing.T, c Cache, word string) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), childVariable+"="+c.Dir, childVariable+"_WORD="+word)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return &child{cmd, in, bufio.NewReader(out)}
}

// says waits for a line.
func (p *child) says(t *testing.T, want string) {
	t.Helper()
	if line, err := p.out.ReadString('\n'); line != want+"\n" {
		t.Fatalf("the other process says %q, error %v, want %q", line, err, want)
	}
}

// kill kills it, at once.
func (p *child) kill() {
	p.Process.Kill()
	p.Wait()
}

// inChild is the cache and the word of the process that a test has started, where this is it.
func inChild() (c Cache, word string, ok bool) {
	dir := os.Getenv(childVariable)
	return Cache{Dir: dir}, os.Getenv(childVariable + "_WORD"), dir != ""
}

// A process that writes without pause is killed at 40 random moments. What Open opens is whole; nothing but it and what was left of
// the killed one is there; and Clear removes all.
func TestKilled(t *testing.T) {
	const n, pieces = 1_000_000, 10
	key := Key("killed")
	if c, _, ok := inChild(); ok {
		fmt.Println("begun")
		for {
			w := create(t, c, key, dtypes.Uint16, n)
			for i := range pieces {
				if err := w.WriteAt(numbers(dtypes.Uint16, i*n/pieces, n/pieces), i*n/pieces); err != nil {
					t.Fatal(err)
				}
			}
			entry, err := w.Commit("", nil)
			if err != nil {
				t.Fatal(err)
			}
			entry.Close()
		}
	}
	c := Cache{Dir: t.TempDir()}
	draw := rand.New(rand.NewPCG(1, 2))
	whole, left := 0, 0
	for range 40 {
		p := start(t, c, "")
		p.says(t, "begun")
		time.Sleep(time.Duration(draw.IntN(25_000)) * time.Microsecond)
		p.kill()
		entry, err := c.Open(key)
		switch {
		case err == nil:
			whole++
			want(t, entry, dtypes.Uint16, n)
			entry.Close()
		case !errors.Is(err, fs.ErrNotExist):
			t.Fatalf("error is %v", err)
		}
		list, err := c.List()
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range list {
			if info.State == Left {
				left++
			} else if info.State != Whole {
				t.Errorf("an entry is %s", info.State)
			}
		}
		if draw.IntN(2) == 0 { // else the next Create removes what was left
			if _, err := c.Clear(); err != nil {
				t.Fatal(err)
			}
			if names := namesIn(t, c.Dir); len(names) > 0 {
				t.Fatalf("left are %q", names)
			}
		} else if len(list) > 2 {
			t.Fatalf("%d files are left", len(list))
		}
	}
	if whole == 0 || left == 0 {
		t.Errorf("%d times there was an entry, %d times something was left: the test tries too little", whole, left)
	}
}

// Processes that make the same entry at the same time all get it, and one is kept.
func TestSameAtOnce(t *testing.T) {
	const n = 3_000_000
	key := Key("same")
	if c, _, ok := inChild(); ok {
		for range 10 {
			w := create(t, c, key, dtypes.Uint8, n)
			if err := w.Append(numbers(dtypes.Uint8, 0, n)); err != nil {
				t.Fatal(err)
			}
			made, err := w.Commit("", nil)
			if err != nil {
				t.Fatal(err)
			}
			open(t, c, key, dtypes.Uint8, n).Close()
			want(t, made, dtypes.Uint8, n)
			made.Close()
		}
		fmt.Println("done")
		os.Exit(0)
	}
	c := Cache{Dir: t.TempDir()}
	var all []*child
	for range 4 {
		all = append(all, start(t, c, ""))
	}
	for _, p := range all {
		p.says(t, "done")
	}
	if names := namesIn(t, c.Dir); !slices.Equal(names, []string{key + ".values"}) {
		t.Errorf("the folder has %q", names)
	}
	open(t, c, key, dtypes.Uint8, n)
}

// What another process has open or writes stays, until it is killed.
func TestOtherProcess(t *testing.T) {
	key, begun := Key("open"), Key("begun")
	if c, word, ok := inChild(); ok {
		if word == "open" {
			entry := open(t, c, key, dtypes.Uint8, 100)
			defer entry.Close()
		} else {
			w := create(t, c, begun, dtypes.Uint8, 100)
			defer w.Abort()
			w.Append(numbers(dtypes.Uint8, 0, 50))
		}
		fmt.Println("ready")
		io.ReadAll(os.Stdin)
		return
	}
	c := Cache{Dir: t.TempDir(), Limit: 10}
	put(t, c, key, dtypes.Uint8, 100)
	reader, writer := start(t, c, "open"), start(t, c, "write")
	reader.says(t, "ready")
	writer.says(t, "ready")
	put(t, c, Key("more"), dtypes.Uint8, 100) // which is over the limit
	if _, err := c.Clear(key); !errors.Is(err, ErrInUse) {
		t.Errorf("error is %v, want ErrInUse", err)
	}
	states := func() string {
		list, err := c.List()
		if err != nil {
			t.Fatal(err)
		}
		var text []string
		for _, info := range list {
			text = append(text, string(info.State))
		}
		slices.Sort(text)
		return strings.Join(text, " ")
	}
	if got := states(); got != "whole whole writing" {
		t.Errorf("there are %s", got)
	}
	reader.kill()
	writer.kill()
	if got := states(); got != "left whole whole" {
		t.Errorf("there are %s", got)
	}
	create(t, c, Key("another"), dtypes.Uint8, 1).Abort()
	if got := states(); got != "" {
		t.Errorf("there are %s", got)
	}
}

// Links and folders in the place of entries are no way out of the folder: nothing outside is read or removed.
func TestLinks(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	other := Cache{Dir: outside}
	key := Key(1)
	put(t, other, key, dtypes.Uint8, 100)
	wantOutside := func() {
		t.Helper()
		open(t, other, key, dtypes.Uint8, 100).Close()
	}
	place := map[string]func(path string) error{
		"link":        func(path string) error { return os.Symlink(pathOf(t, other, key), path) },
		"link to dir": func(path string) error { return os.Symlink(outside, path) },
		"to nowhere":  func(path string) error { return os.Symlink(filepath.Join(outside, "none"), path) },
		"folder":      func(path string) error { return os.Mkdir(path, 0o700) },
		"pipe":        func(path string) error { return syscall.Mkfifo(path, 0o600) },
	}
	for name, make := range place {
		c := Cache{Dir: t.TempDir()}
		path := pathOf(t, c, key)
		for _, name := range []string{path, filepath.Join(c.Dir, "."+key+".123.part")} {
			if err := make(name); err != nil {
				t.Fatal(err)
			}
		}
		if list, err := c.List(); err != nil || len(list) != 2 || list[0].Bytes+list[1].Bytes > 0 {
			t.Errorf("%s: %+v, error %v", name, list, err)
		}
		wantDamaged(t, c, key, name)
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		if freed, err := c.Clear(); freed > 0 || err != nil {
			t.Errorf("%s: freed %d, error %v", name, freed, err)
		}
		if names := namesIn(t, c.Dir); len(names) > 0 {
			t.Errorf("%s: left are %q", name, names)
		}
		wantOutside()
		// A new entry takes the place of all but a folder.
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		if name == "folder" {
			if _, err := c.Create(key, dtypes.Uint8, 1); err == nil || !strings.Contains(err.Error(), "is a folder; remove it") {
				t.Errorf("error is %v", err)
			}
			continue
		}
		put(t, c, key, dtypes.Uint8, 7)
		open(t, c, key, dtypes.Uint8, 7).Close()
		wantOutside()
	}

	// A folder with something in it is left to its owner.
	c := Cache{Dir: t.TempDir()}
	file := filepath.Join(pathOf(t, c, key), "file")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Open(key); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "remove it yourself") {
		t.Errorf("error is %v", err)
	}
	if _, err := c.Clear(); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("error is %v", err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

// A file that is cut off while it is open is an error where Guard guards, and the next Open removes it.
func TestGuard(t *testing.T) {
	c, key := Cache{Dir: t.TempDir()}, Key(1)
	n := 100 * os.Getpagesize()
	put(t, c, key, dtypes.Float32, n)
	entry := open(t, c, key, dtypes.Float32, n)
	if err := os.Truncate(pathOf(t, c, key), int64(2*n)); err != nil {
		t.Fatal(err)
	}
	copied := make([]float32, n)
	if err := entry.Guard(func() { copy(copied, entry.Values.Float32[:n/4]) }); err != nil {
		t.Errorf("of what is still there: %v", err)
	}
	if err := entry.Guard(func() { copy(copied, entry.Values.Float32) }); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), key) {
		t.Errorf("error is %v, want ErrDamaged", err)
	}
	sum := 0.0
	if err := entry.Guard(func() {
		for i := range n {
			sum += entry.Values.At(i)
		}
	}); !errors.Is(err, ErrDamaged) {
		t.Errorf("error is %v, want ErrDamaged", err)
	}
	wantDamaged(t, c, key, "cut off")
}

// A cache that may only be read can be read.
func TestReadOnly(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write everywhere")
	}
	c, key := Cache{Dir: t.TempDir()}, Key(1)
	put(t, c, key, dtypes.Uint8, 10)
	for path, mode := range map[string]fs.FileMode{pathOf(t, c, key): 0o400, c.Dir: 0o500} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { os.Chmod(c.Dir, 0o700) })
	open(t, c, key, dtypes.Uint8, 10)
	if _, err := c.Create(Key(2), dtypes.Uint8, 10); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), variable) {
		t.Errorf("error is %v", err)
	}
}

// Opening takes memory for its buffers, not for the values.
func TestMemory(t *testing.T) {
	c, key := Cache{Dir: t.TempDir()}, Key(1)
	put(t, c, key, dtypes.Uint8, 64<<20)
	resident := func() int {
		text, err := os.ReadFile("/proc/self/statm")
		if err != nil {
			t.Skip("no /proc/self/statm")
		}
		pages, err := strconv.Atoi(strings.Fields(string(text))[1])
		if err != nil {
			t.Fatal(err)
		}
		return pages * os.Getpagesize()
	}
	before := resident()
	entry, err := c.Open(key)
	if err != nil {
		t.Fatal(err)
	}
	defer entry.Close()
	if more := resident() - before; more > 16<<20 {
		t.Errorf("opening 64 MiB takes %d bytes of memory", more)
	}
}
