package backend

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// library is a file with the header of a shared library for this machine, and one segment that covers all of it.
func library(t *testing.T, payload string) []byte {
	t.Helper()
	machine, known := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
	if !known || runtime.GOOS != "linux" {
		t.Skip("plugins are pinned for linux on amd64 and arm64 only")
	}
	const header, segment = 64, 56
	var out bytes.Buffer
	size := uint64(header + segment + len(payload))
	parts := []any{
		elf.Header64{
			Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
			Type:  uint16(elf.ET_DYN), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
			Phoff: header, Ehsize: header, Phentsize: segment, Phnum: 1, Shentsize: 64,
		},
		elf.Prog64{Type: uint32(elf.PT_LOAD), Filesz: size, Memsz: size},
		[]byte(payload),
	}
	for _, part := range parts {
		if err := binary.Write(&out, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func fileOf(data []byte) file {
	sum := sha256.Sum256(data)
	return file{sha256: hex.EncodeToString(sum[:]), size: int64(len(data))}
}

// wheelOf is a wheel with one member.
func wheelOf(t *testing.T, name string, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	w, err := archive.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// trial is a pin of small files, in an empty cache folder.
type trial struct {
	plugin, wheel []byte
	pin           pin
	dir, target   string
}

func newTrial(t *testing.T) trial {
	t.Helper()
	plugin := library(t, "the plugin's code")
	wheel := wheelOf(t, "xla_cpu_pjrt/"+pluginName, plugin)
	p := pin{goarch: runtime.GOARCH, plugin: fileOf(plugin), wheel: fileOf(wheel)}
	kept := pins
	t.Cleanup(func() { pins = kept })
	pins = []pin{p}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	dir, err := Dir()
	if err != nil {
		t.Fatal(err)
	}
	return trial{plugin, wheel, p, dir, filepath.Join(dir, pluginName)}
}

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// leftOver lists what lies in the plugins' folder beside the lock.
func leftOver(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		if entry.Name() != ".lock" {
			names = append(names, entry.Name())
		}
	}
	return names
}

func TestInstallFrom(t *testing.T) {
	c := newTrial(t)
	for _, from := range []string{write(t, "xla.whl", c.wheel), write(t, "plugin.so", c.plugin)} {
		path, err := Install(context.Background(), CPU, from, Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, c.plugin) || path != c.target {
			t.Errorf("installed %s from %s: %v", path, from, err)
		}
		if _, err := verify(path); err != nil {
			t.Error(err)
		}
		os.Remove(path)
	}
	altered := append([]byte{}, c.wheel...)
	altered[len(altered)/2] ^= 1
	for name, from := range map[string]string{
		"a wheel cut off":     write(t, "cut.whl", c.wheel[:len(c.wheel)-10]),
		"an altered wheel":    write(t, "altered.whl", altered),
		"another plugin":      write(t, "other.so", library(t, "somebody else's code")),
		"a file not there":    filepath.Join(c.dir, "missing.whl"),
		"a plugin not there":  filepath.Join(c.dir, "missing.so"),
		"a folder":            t.TempDir(),
		"something else":      write(t, "notes.txt", []byte("hello")),
		"an empty wheel file": write(t, "empty.whl", nil),
	} {
		if path, err := Install(context.Background(), CPU, from, Options{}); err == nil {
			t.Errorf("%s was installed as %s", name, path)
		} else if !strings.Contains(err.Error(), from) {
			t.Errorf("%s: %v: the error does not name the file", name, err)
		}
		if left := leftOver(t, c.dir); len(left) > 0 {
			t.Errorf("%s left %v", name, left)
		}
	}
}

// What a wheel with the right checksum holds is checked too: the pin of the plugin guards against a wrong pin of the wheel,
// and a member that unpacks to more than the plugin is not unpacked further.
func TestExtract(t *testing.T) {
	c := newTrial(t)
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, wheel := range map[string][]byte{
		"no plugin inside": wheelOf(t, "readme.txt", c.plugin),
		"other bytes":      wheelOf(t, pluginName, library(t, "the plugin's c0de")),
		"more bytes":       wheelOf(t, pluginName, append(append([]byte{}, c.plugin...), make([]byte, 10<<20)...)),
		"no zip archive":   []byte("PK no archive"),
	} {
		if err := extract(write(t, "x.whl", wheel), c.pin, c.target); err == nil {
			t.Errorf("%s: no error", name)
		}
		if left := leftOver(t, c.dir); len(left) > 0 {
			t.Errorf("%s left %v", name, left)
		}
	}
	// A member's name decides nothing about where it goes.
	if err := extract(write(t, "x.whl", wheelOf(t, "../../../"+pluginName, c.plugin)), c.pin, c.target); err != nil {
		t.Error(err)
	}
	if left := leftOver(t, c.dir); len(left) != 1 || left[0] != pluginName {
		t.Errorf("left %v, want the plugin alone", left)
	}
}

func TestDownload(t *testing.T) {
	c := newTrial(t)
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	body := map[string][]byte{
		"/whole": c.wheel, "/cut": c.wheel[:100], "/altered": append(append([]byte{}, c.wheel[1:]...), 0),
		"/endless": append(append([]byte{}, c.wheel...), make([]byte, 1<<20)...),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, found := body[r.URL.Path]
		if !found {
			http.NotFound(w, r)
			return
		}
		if r.URL.Path == "/cut" {
			w.Header().Set("Content-Length", fmt.Sprint(len(c.wheel)))
		}
		w.Write(data)
	}))
	defer server.Close()

	var progress bytes.Buffer
	path, err := c.pin.wheel.get(context.Background(), server.URL+"/whole", c.dir, &progress)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, c.wheel) {
		t.Errorf("downloaded %d bytes, %v", len(got), err)
	}
	if !strings.Contains(progress.String(), "100%") {
		t.Errorf("the progress bar ended with %q", progress.String())
	}
	os.Remove(path)

	for _, what := range []string{"/cut", "/altered", "/endless", "/missing"} {
		if path, err := c.pin.wheel.get(context.Background(), server.URL+what, c.dir, nil); err == nil {
			t.Errorf("%s was accepted as %s", what, path)
		} else if !strings.Contains(err.Error(), server.URL+what) {
			t.Errorf("%s: %v: the error does not name the address", what, err)
		}
		if left := leftOver(t, c.dir); len(left) > 0 {
			t.Errorf("%s left %v", what, left)
		}
	}
}

// A second process waits for the first, and gives up when it is told to.
func TestInstallLocks(t *testing.T) {
	c := newTrial(t)
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	other := flock.New(filepath.Join(c.dir, ".lock"))
	if err := other.Lock(); err != nil {
		t.Fatal(err)
	}
	from := write(t, "plugin.so", c.plugin)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Install(ctx, CPU, from, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("while another process installs: %v, want context.Canceled", err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		if _, err := Install(context.Background(), CPU, from, Options{}); err != nil {
			t.Error(err)
		}
	})
	time.Sleep(50 * time.Millisecond)
	if _, err := os.Stat(c.target); err == nil {
		t.Error("installed while another process held the lock")
	}
	if err := other.Unlock(); err != nil {
		t.Fatal(err)
	}
	group.Wait()
}

// Where another process was faster, nothing is downloaded.
func TestInstallIsThere(t *testing.T) {
	c := newTrial(t)
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.target, c.plugin, 0o755); err != nil {
		t.Fatal(err)
	}
	path, err := Install(context.Background(), CPU, "", Options{})
	if err != nil || path != c.target {
		t.Errorf("installed %s, %v", path, err)
	}
}

// A damaged plugin is found out at every byte before it could be loaded.
func TestVerify(t *testing.T) {
	c := newTrial(t)
	path := filepath.Join(t.TempDir(), pluginName)
	try := func(data []byte) error {
		if err := os.WriteFile(path, data, 0o755); err != nil {
			t.Fatal(err)
		}
		_, err := verify(path)
		return err
	}
	if err := try(c.plugin); err != nil {
		t.Fatal(err)
	}
	for i := range c.plugin {
		altered := append([]byte{}, c.plugin...)
		altered[i] ^= 0x40
		for _, data := range [][]byte{altered, c.plugin[:i]} {
			if err := try(data); err == nil {
				t.Errorf("accepted a plugin of %d bytes, changed at byte %d", len(data), i)
			} else if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "latent backend install --force") &&
				!strings.Contains(err.Error(), "want a shared library") {
				t.Errorf("byte %d: %v: the error lacks the path or the cure", i, err)
			}
		}
	}
}

// A plugin of the user's own is accepted as it is at its first use, and from then on as nothing else.
func TestVerifyOwn(t *testing.T) {
	newTrial(t)
	path := filepath.Join(t.TempDir(), "pjrt_c_api_cuda_plugin.so")
	own := library(t, "a plugin built at home")
	for range 2 {
		if err := os.WriteFile(path, own, 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := verify(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, library(t, "a plugin built at h0me"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := verify(path)
	if err == nil || !strings.Contains(err.Error(), "it was altered; if you replaced it, remove ") {
		t.Fatalf("an altered plugin: %v", err)
	}
	_, record, _ := strings.Cut(err.Error(), "remove ")
	if err := os.Remove(record); err != nil {
		t.Fatal(err)
	}
	if _, err := verify(path); err != nil {
		t.Errorf("after the record was removed: %v", err)
	}
	// One that was installed in its place is taken as it is.
	if err := os.WriteFile(path, own, 0o755); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := accept(path); err != nil {
			t.Errorf("installed anew: %v", err)
		}
	}
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := verify(path); err == nil {
		t.Error("accepted a plugin that was cut off")
	}
}

// An executable, and a library of another machine, are no plugins.
func TestVerifyForeign(t *testing.T) {
	newTrial(t)
	for name, offset := range map[string]int{"type": 16, "machine": 18} {
		data := library(t, "code")
		data[offset] ^= 0x01
		path := write(t, "own.so", data)
		if _, err := verify(path); err == nil || !strings.Contains(err.Error(), "want a shared library") {
			t.Errorf("another %s: %v", name, err)
		}
	}
	if _, err := verify(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("a folder: %v", err)
	}
}
