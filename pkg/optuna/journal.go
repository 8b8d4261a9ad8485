package optuna

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
)

// Journal appends a study's trials to a file. Several goroutines may call it, and several processes may have one on the same file,
// also of the same study; all of a trial is then told by one of them, in the order in which it happens.
type Journal struct {
	path  string
	study Study
	lock  lock

	mutex  sync.Mutex
	mirror *mirror
	file   fs.FileInfo // of the file that the mirror is of
	end    int64       // of what the mirror has read
}

// Open continues a journal, or begins one, and tells the study's attributes. A file that is no journal, is damaged before its last
// line, or has a study of this name with other objectives or parameters is refused, and left as it is. A torn last line is cut
// away, as a journal to which a line is added behind one could not be read by Optuna.
//
// It waits while another process writes, and for 30 s where one died in that.
func Open(ctx context.Context, path string, study Study) (*Journal, error) {
	j := &Journal{path: path, study: study, lock: lock{journal: path, grace: optunaGrace}}
	if err := study.check(); err != nil {
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	if err := j.Append(ctx); err != nil {
		return nil, err
	}
	return j, nil
}

// Append tells what of the trials the journal does not say yet, in one write, and no line where there is nothing. Optuna sees it
// at once; Close puts it on the disk. A call takes some 2 ms on two busy cores, most of it for the lock: tell several trials at once.
//
// A trial that has finished in the journal cannot change there. Where it is waiting again, runs again, or ended otherwise, it becomes
// another trial of Optuna, with the same [NumberAttr]; so does one that somebody finished in the dashboard. A trial that runs, with
// the time of a start that has finished already, comes late and says nothing.
//
// A study that somebody deleted in the dashboard is begun again, with the trials that are told from then on.
func (j *Journal) Append(ctx context.Context, trials ...Trial) error {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	for i := range trials {
		if err := j.study.checkTrial(&trials[i]); err != nil {
			return fmt.Errorf("journal %s: %w", j.path, err)
		}
	}
	if err := j.lock.acquire(ctx); err != nil {
		return fmt.Errorf("journal %s: %w", j.path, err)
	}
	if err := cmp.Or(j.append(trials), j.lock.release()); err != nil {
		return fmt.Errorf("journal %s: %w", j.path, err)
	}
	return nil
}

// append does it, under the lock. The file is opened each time: only so do machines that share it over NFS see each other's lines.
func (j *Journal) append(trials []Trial) (err error) {
	file, err := openJournal(j.path, os.O_RDWR|os.O_CREATE|os.O_APPEND)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, file.Close()) }()
	if err := j.follow(file); err != nil {
		return err
	}
	t := teller{study: &j.study, mirror: j.mirror}
	j.mirror = nil // to be read anew, where something fails on the way
	if err := t.tellAll(trials); err != nil {
		return err
	}
	if len(t.lines) > 0 {
		if _, err := file.Write(t.lines); err != nil {
			// A part of it may be there, on a full disk.
			return cmp.Or(err, file.Truncate(j.end))
		}
	}
	j.mirror = t.mirror
	j.end += int64(len(t.lines))
	return nil
}

// follow reads what others have added, and cuts a torn line away.
func (j *Journal) follow(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if j.mirror == nil || !os.SameFile(j.file, info) || info.Size() < j.end { // the first time, or somebody replaced it
		j.mirror, j.file, j.end = newMirror(j.study.Name), info, 0
	}
	size, torn, err := j.mirror.read(io.NewSectionReader(file, j.end, info.Size()-j.end))
	j.end += size
	if err == nil && torn {
		err = file.Truncate(j.end)
	}
	if err != nil {
		j.mirror = nil
	}
	return err
}

// Close puts what was told on the disk.
func (j *Journal) Close() error {
	file, err := openJournal(j.path, os.O_RDWR)
	if err == nil {
		err = cmp.Or(file.Sync(), file.Close())
	}
	if err != nil {
		return fmt.Errorf("close journal %s: %w", j.path, err)
	}
	return nil
}

// Export writes the whole journal of a study, its trials by number, replacing a file that has no others: one with studies or trials
// that somebody else wrote is refused, and so is one that is no journal. Attributes of trials and the study that were added to the
// file are lost, and an Optuna that has it open must open it again.
//
// Of trials with the same number, those after the first are told as [Journal.Append] does it.
func Export(ctx context.Context, path string, study Study, trials []Trial) error {
	err := func() error {
		if err := study.check(); err != nil {
			return err
		}
		for i := range trials {
			if err := study.checkTrial(&trials[i]); err != nil {
				return err
			}
		}
		sorted := slices.SortedStableFunc(slices.Values(trials), func(a, b Trial) int { return cmp.Compare(a.Number, b.Number) })
		t := teller{study: &study, mirror: newMirror(study.Name)}
		if err := t.tellAll(sorted); err != nil {
			return err
		}
		lock := lock{journal: path, grace: optunaGrace}
		if err := lock.acquire(ctx); err != nil {
			return err
		}
		return cmp.Or(replace(path, study.Name, t.lines), lock.release())
	}()
	if err != nil {
		return fmt.Errorf("export %s: %w", path, err)
	}
	return nil
}

// replace gives the file its new contents, where it holds nothing of others.
func replace(path, study string, contents []byte) error {
	file, err := openJournal(path, os.O_RDONLY)
	if err == nil {
		m := newMirror(study)
		_, _, err = m.read(file)
		if err := cmp.Or(err, file.Close()); err != nil {
			return fmt.Errorf("%w; remove it, or choose another", err)
		}
		if what := m.others(); what != "" {
			return fmt.Errorf("it has %s, which would be lost; choose another file", what)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return writeFile(path, contents)
}

// openJournal opens a regular file: a pipe would wait for its other end.
func openJournal(path string, flags int) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("it is not a regular file")
	}
	return os.OpenFile(path, flags, 0o644)
}

// writeFile gives a file its name only when all of it is on the disk.
func writeFile(path string, contents []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".writing-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // fails once the file has its name
	_, err = file.Write(contents)
	// The first error is the one to tell; after it the others only follow.
	if err := cmp.Or(err, file.Chmod(0o644), file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil || runtime.GOOS == "windows" {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	// Some file systems cannot sync a folder.
	if err := dir.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}
