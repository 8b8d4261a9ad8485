package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"latent/pkg/message"

	"github.com/gofrs/flock"
	"github.com/schollz/progressbar/v3"
)

// fetcher downloads a family's files into a folder.
type fetcher struct {
	family   *family
	dir      string
	progress io.Writer     // for a progress bar; nil shows none
	patience time.Duration // how long a mirror may send nothing before the next one is tried
}

const patience = 30 * time.Second

// fetch puts the files that are not yet in the folder there, one process at a time.
func (f fetcher) fetch(ctx context.Context) error {
	if f.complete() {
		return nil // without a lock, which a read-only folder would refuse
	}
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return fmt.Errorf("create a folder for %s: %w; set data.dir or %s to a folder with its files", f.family.name, err, dirVariable)
	}
	lock := flock.New(filepath.Join(f.dir, ".lock"))
	if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return fmt.Errorf("wait for another download of %s: %w", f.family.name, err)
	}
	defer lock.Unlock()
	for _, pin := range f.family.files {
		if _, _, err := pin.read(f.dir); err == nil {
			continue
		}
		if err := f.file(ctx, pin); err != nil {
			return err
		}
	}
	return nil
}

func (f fetcher) complete() bool {
	for _, pin := range f.family.files {
		if _, _, err := pin.read(f.dir); err != nil {
			return false
		}
	}
	return true
}

// file tries one mirror after the other.
func (f fetcher) file(ctx context.Context, pin pin) error {
	var failures []error
	for _, mirror := range f.family.mirrors {
		data, err := f.download(ctx, mirror+pin.name, pin)
		if ctx.Err() != nil {
			return fmt.Errorf("download %s: %w", f.family.name, context.Cause(ctx))
		}
		if err == nil {
			if err := writeFile(filepath.Join(f.dir, pin.name), data); err != nil {
				return fmt.Errorf("save %s: %w; set data.dir or %s to a folder with its files", f.family.name, err, dirVariable)
			}
			return nil
		}
		failures = append(failures, fmt.Errorf("%s%s: %w", mirror, pin.name, err))
	}
	return fmt.Errorf("download %s: no mirror provided %s\n%w\nput the four files into a folder yourself, and set data.dir or %s to it",
		f.family.name, pin.name, errors.Join(failures...), dirVariable)
}

// download returns the file if it is the published one. It reads no more than that one has.
func (f fetcher) download(ctx context.Context, url string, pin pin) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(f.patience, func() { cancel(fmt.Errorf("no data for %s", f.patience)) })
	defer timer.Stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, errors.Join(context.Cause(ctx), err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	body := io.Reader(response.Body)
	if f.progress != nil {
		bar := progressbar.NewOptions64(pin.size, progressbar.OptionSetWriter(message.Raw(f.progress)),
			progressbar.OptionSetDescription(pin.name), progressbar.OptionShowBytes(true), progressbar.OptionSetWidth(24))
		defer fmt.Fprintln(f.progress)
		body = io.TeeReader(body, bar)
	}
	data, err := io.ReadAll(io.LimitReader(watched{body, timer, f.patience}, pin.size+1))
	switch {
	case context.Cause(ctx) != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, fmt.Errorf("interrupted after %d of %d bytes: %w", len(data), pin.size, err)
	case int64(len(data)) > pin.size:
		return nil, fmt.Errorf("more than %d bytes", pin.size)
	}
	return data, pin.check(data)
}

// watched puts the timer off whenever something comes.
type watched struct {
	io.Reader
	timer    *time.Timer
	patience time.Duration
}

func (w watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.timer.Reset(w.patience)
	return n, err
}

// writeFile writes a file whole or not at all. Its temporary name is fixed, so that the leavings of a killed process are
// written over; the caller holds the folder's lock.
func writeFile(path string, data []byte) error {
	file, err := os.Create(path + ".part")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
