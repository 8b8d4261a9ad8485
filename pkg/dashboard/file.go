package dashboard

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"
	_ "modernc.org/sqlite" // the driver of SQLite

	"latent/pkg/query"
	"latent/pkg/rundir"
	"latent/pkg/runs"
)

// indexFile is a SQLite file with the rows of an index, by the paths of runs. Whatever becomes of it, the index is only slower.
type indexFile struct {
	db  *sql.DB
	log *slog.Logger
}

// fileVersion is that of what the file holds. One of another version is begun anew.
const fileVersion = 1

// keptRow is a row in the file.
type keptRow struct {
	State    rundir.State     `json:"state"`
	Error    string           `json:"error,omitempty"` // what is damaged
	Manifest *rundir.Manifest `json:"manifest"`
	Labels   rundir.Labels    `json:"labels"`
	Config   map[string]any   `json:"config,omitempty"`
	Spark    []float64        `json:"spark,omitempty"`
	Filled   bool             `json:"filled"`
	// Stamps are those of the manifest, the labels and the records.
	Stamps [3]stamp `json:"stamps"`
}

func kept(r *Row) keptRow {
	k := keptRow{r.State, "", r.Manifest, r.Labels, r.Config, r.Spark, r.filled, [3]stamp{r.manifest, r.labels, r.records}}
	if r.Err != nil {
		k.Error = r.Err.Error()
	}
	return k
}

// row is that of a run.
func (k keptRow) row(key, path string) *Row {
	r := &Row{Key: key, Spark: k.Spark, filled: k.Filled, manifest: k.Stamps[0], labels: k.Stamps[1], records: k.Stamps[2]}
	r.Record = &query.Record{Entry: runs.Entry{Path: path, State: k.State, Manifest: k.Manifest}, Labels: k.Labels, Config: k.Config}
	if k.Error != "" {
		r.Err = errors.New(k.Error)
	}
	return r
}

// openIndexFile opens a file, or begins it, and returns its rows of the runs that have keys. One that is damaged is begun anew; where that fails,
// there is none.
func openIndexFile(path string, keyOf func(path string) string, log *slog.Logger) (*indexFile, []*Row) {
	f := &indexFile{log: log}
	rows, err := f.open(path, keyOf)
	if err == nil {
		return f, rows
	}
	log.Warn("the index is begun anew", "file", path, "cause", err)
	f.close()
	os.Remove(path) // the next line says whether that helped
	if rows, err = f.open(path, keyOf); err != nil {
		log.Warn("the index is kept in memory alone", "cause", err)
		f.close()
		return nil, nil
	}
	return f, rows
}

func (f *indexFile) open(path string, keyOf func(path string) string) ([]*Row, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	pragmas := url.Values{"_pragma": {"busy_timeout(2000)", "journal_mode(wal)", "synchronous(off)"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+pragmas.Encode())
	if err != nil {
		return nil, err
	}
	f.db = db
	var version int
	if err := db.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		return nil, err
	}
	if version != 0 && version != fileVersion {
		return nil, fmt.Errorf("it is of version %d, want %d", version, fileVersion)
	}
	_, err = db.Exec(fmt.Sprintf("CREATE TABLE IF NOT EXISTS rows (path TEXT PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID; PRAGMA user_version = %d", fileVersion))
	if err != nil {
		return nil, err
	}
	return f.read(keyOf)
}

// read decodes the rows, several at once.
func (f *indexFile) read(keyOf func(path string) string) ([]*Row, error) {
	found, err := f.db.Query("SELECT path, row FROM rows")
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var paths, keys, gone []string
	var blobs [][]byte
	for found.Next() {
		var path string
		var blob []byte
		if err := found.Scan(&path, &blob); err != nil {
			return nil, err
		}
		if key := keyOf(path); key != "" {
			paths, keys, blobs = append(paths, path), append(keys, key), append(blobs, blob)
		} else if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			gone = append(gone, path)
		}
	}
	if err := errors.Join(found.Err(), found.Close()); err != nil {
		return nil, err
	}
	if err := f.write(nil, gone); err != nil {
		return nil, err
	}
	rows := make([]*Row, len(paths))
	var decoding errgroup.Group
	part := len(rows)/runtime.GOMAXPROCS(0) + 1
	for i := 0; i < len(rows); i += part {
		decoding.Go(func() error {
			for j := i; j < min(i+part, len(rows)); j++ {
				var k keptRow
				if err := json.Unmarshal(blobs[j], &k); err != nil {
					return err
				}
				if k.Manifest == nil {
					return fmt.Errorf("%s: no manifest", paths[j])
				}
				rows[j] = k.row(keys[j], paths[j])
			}
			return nil
		})
	}
	return rows, decoding.Wait()
}

// save writes rows, and removes those of paths.
func (f *indexFile) save(rows []*Row, gone []string) {
	if f == nil {
		return
	}
	if err := f.write(rows, gone); err != nil {
		f.log.Warn("the index was not saved", "cause", err)
	}
}

func (f *indexFile) write(rows []*Row, gone []string) error {
	tx, err := f.db.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after Commit
	for _, row := range rows {
		blob, err := json.Marshal(kept(row))
		if err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT OR REPLACE INTO rows VALUES (?, ?)", row.Path, blob); err != nil {
			return err
		}
	}
	for _, path := range gone {
		if _, err := tx.Exec("DELETE FROM rows WHERE path = ?", path); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (f *indexFile) close() {
	if f != nil && f.db != nil {
		f.db.Close()
		f.db = nil
	}
}
