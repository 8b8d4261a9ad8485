package study

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Options say how a store is used. No result depends on them.
type Options struct {
	// Lease is how long a worker that says nothing keeps its trials, 30 s where it is 0. A shorter one takes up a dead worker's
	// trial sooner; one that is not several times the heartbeat's interval takes trials from workers that are only slow.
	Lease time.Duration
	// Patience is how long a call waits for another process that changes the store, 30 s where it is 0. A change takes below a
	// millisecond, and in Claim as long as propose does. On PostgreSQL the server ends a change that has rested for half of it,
	// so that a machine that went away does not hold the others up: propose must be done by then.
	Patience time.Duration
	// Now is the clock of times and leases. nil: time.Now for a file, and for PostgreSQL the server's clock, so that the
	// machines' clocks need not agree.
	Now func() time.Time
	// ReadOnly opens a file that is there for reading alone, also where neither it nor its folder can be written: nothing is changed, and no
	// file is made beside it. It has no meaning for PostgreSQL.
	ReadOnly bool
}

// Store is a file or a database that has studies. It may be used by many goroutines and processes at once.
type Store struct {
	db         *sql.DB
	where      string // what errors call it
	options    Options
	backend    backend
	statements statements
}

// backend is what differs between the databases.
type backend struct {
	// words turns those of the schema and the statements into the database's.
	words *strings.Replacer
	// wal says that the file is to be set to write-ahead logging.
	wal bool
	// exclude makes a transaction the only one that makes tables or adds a study, foreign tells whether the tables are another
	// program's, and ready whether there are ours.
	exclude, foreign, ready string
	// counters reads a study's and holds it until the end of the transaction.
	counters string
	// snapshot is for transactions that read: all their statements see the same moment.
	snapshot sql.TxOptions
}

var sqliteBackend = backend{
	wal: true,
	words: strings.NewReplacer("BIGINT", "INTEGER", "DOUBLE PRECISION", "REAL", "{OPTIONS}", "STRICT, WITHOUT ROWID",
		// Left alone it reads all trials of the study by their numbers: 1.4 ms for 10,000.
		"{OPEN}", "INDEXED BY latent_trials_open"),
	// Every transaction that may write is BEGIN IMMEDIATE, and so already the only one.
	exclude: `SELECT 1`,
	// A trigger or a view is nothing of ours either: it could run anything under the name of a table of ours.
	foreign: `SELECT count(*) FROM sqlite_schema
		WHERE tbl_name NOT LIKE 'latent\_%' ESCAPE '\' AND tbl_name NOT LIKE 'sqlite\_%' ESCAPE '\' OR type NOT IN ('table', 'index')`,
	ready: `SELECT count(*) FROM sqlite_schema WHERE name = 'latent_schema'`,
	// The time is the caller's.
	counters: `SELECT trials, told, version, 0 FROM latent_studies WHERE id = $1`,
	snapshot: sql.TxOptions{ReadOnly: true},
}

var postgresBackend = backend{
	words:   strings.NewReplacer("{OPTIONS}", "", "{OPEN}", ""),
	exclude: `SELECT pg_advisory_xact_lock(7811887401)`, // any number that nobody else takes
	foreign: `SELECT 0`,                                 // other programs' tables may be beside ours
	ready:   `SELECT count(*) FROM pg_tables WHERE tablename = 'latent_schema' AND schemaname = current_schema()`,
	// The time is taken outside of the part that waits for the lock.
	counters: `SELECT s.trials, s.told, s.version, (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT
		FROM (SELECT trials, told, version FROM latent_studies WHERE id = $1 FOR UPDATE) AS s`,
	snapshot: sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead},
}

// schemaVersion is that of the tables. It grows when an older Latent could not use them.
const schemaVersion = 1

// schema makes the tables. Times are microseconds since 1970, 0 for none; NULL is a NaN; objectives are numbers with blanks
// between them, and attrs is a JSON object or empty.
var schema = []string{
	`CREATE TABLE latent_schema (version BIGINT NOT NULL PRIMARY KEY) {OPTIONS}`,
	`CREATE TABLE latent_studies (id BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL UNIQUE, config TEXT NOT NULL,
		trials BIGINT NOT NULL, told BIGINT NOT NULL, version BIGINT NOT NULL) {OPTIONS}`,
	`CREATE TABLE latent_trials (study BIGINT NOT NULL, number BIGINT NOT NULL, state TEXT NOT NULL, attempt BIGINT NOT NULL,
		params TEXT NOT NULL, stack BIGINT NOT NULL, worker TEXT NOT NULL, run TEXT NOT NULL, objectives TEXT NOT NULL,
		attrs TEXT NOT NULL, error TEXT NOT NULL, asked BIGINT NOT NULL, started BIGINT NOT NULL, finished BIGINT NOT NULL,
		told BIGINT NOT NULL, version BIGINT NOT NULL, lease BIGINT NOT NULL, PRIMARY KEY (study, number)) {OPTIONS}`,
	`CREATE UNIQUE INDEX latent_trials_version ON latent_trials (study, version)`,
	`CREATE INDEX latent_trials_open ON latent_trials (study, stack, number) WHERE state IN ('waiting', 'running')`,
	`CREATE TABLE latent_reports (study BIGINT NOT NULL, trial BIGINT NOT NULL, step BIGINT NOT NULL, value DOUBLE PRECISION,
		attempt BIGINT NOT NULL, PRIMARY KEY (study, trial, step)) {OPTIONS}`,
}

// statements are those that workers run, prepared: SQLite takes longer to read one than to run it. $1 is the study.
type statements struct {
	counters, setCounters                              *sql.Stmt
	trial, claimable, running, save, renew, renewStack *sql.Stmt
	changed, changedCurves                             *sql.Stmt
	curve, report, drop                                *sql.Stmt
}

func (s *Store) prepare(ctx context.Context) error {
	for _, one := range []struct {
		statement **sql.Stmt
		text      string
	}{
		{&s.statements.counters, s.backend.counters},
		{&s.statements.setCounters, `UPDATE latent_studies SET trials = $2, told = $3, version = $4 WHERE id = $1`},

		{&s.statements.trial, `SELECT ` + columns + ` FROM latent_trials WHERE study = $1 AND number = $2`},
		{&s.statements.claimable, `SELECT ` + columns + ` FROM latent_trials {OPEN}
			WHERE study = $1 AND state IN ('waiting', 'running') AND (state = 'waiting' OR lease <= $2) AND stack = (
				SELECT stack FROM latent_trials {OPEN}
				WHERE study = $1 AND state IN ('waiting', 'running') AND (state = 'waiting' OR lease <= $2) ORDER BY stack LIMIT 1)
			ORDER BY number`},
		{&s.statements.running, `SELECT ` + columns + ` FROM latent_trials {OPEN}
			WHERE study = $1 AND state IN ('waiting', 'running') AND state = 'running' AND worker = $2 ORDER BY number`},
		{&s.statements.save, `INSERT INTO latent_trials (study, ` + columns + `)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
			ON CONFLICT (study, number) DO UPDATE SET state = excluded.state, attempt = excluded.attempt, worker = excluded.worker,
				run = excluded.run, objectives = excluded.objectives, attrs = excluded.attrs, error = excluded.error,
				started = excluded.started, finished = excluded.finished, told = excluded.told, version = excluded.version,
				lease = excluded.lease`},
		{&s.statements.renew, `UPDATE latent_trials SET lease = $3 WHERE study = $1 AND number = $2`},
		{&s.statements.renewStack, `UPDATE latent_trials {OPEN} SET lease = $4
			WHERE study = $1 AND state IN ('waiting', 'running') AND state = 'running' AND stack = $2 AND worker = $3`},

		{&s.statements.changed, `SELECT ` + columns + ` FROM latent_trials WHERE study = $1 AND version > $2 ORDER BY version`},
		// CROSS JOIN makes SQLite begin with the few trials that changed, not with all reports.
		{&s.statements.changedCurves, `SELECT r.trial, r.step, r.value FROM latent_trials AS t CROSS JOIN latent_reports AS r
			WHERE t.study = $1 AND t.version > $2 AND r.study = $1 AND r.trial = t.number ORDER BY r.trial, r.step`},

		{&s.statements.curve, `SELECT trial, step, value FROM latent_reports WHERE study = $1 AND trial = $2 ORDER BY step`},
		{&s.statements.report, `INSERT INTO latent_reports (study, trial, attempt, step, value) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (study, trial, step) DO UPDATE SET attempt = excluded.attempt, value = excluded.value`},
		{&s.statements.drop, `DELETE FROM latent_reports WHERE study = $1 AND trial = $2 AND attempt < $3 AND step >= $4`},
	} {
		var err error
		if *one.statement, err = s.db.PrepareContext(ctx, s.backend.words.Replace(one.text)); err != nil {
			return err
		}
	}
	return nil
}

// Open opens a store: a file, which is made if it is missing, or a database by its URL, postgres://USER@HOST/DATABASE, where
// the tables are made if they are missing. A password is better kept in PGPASSWORD or ~/.pgpass than in the URL.
//
// The file must be on a disk of this machine: SQLite's shared memory does not reach over a network's file system.
func Open(ctx context.Context, where string, options Options) (*Store, error) {
	if options.Lease == 0 {
		options.Lease = 30 * time.Second
	}
	if options.Patience == 0 {
		options.Patience = 30 * time.Second
	}
	var s *Store
	var err error
	switch scheme, _, found := strings.Cut(where, "://"); {
	case !found:
		s, err = openFile(where, options)
	case scheme == "postgres" || scheme == "postgresql":
		s, err = openPostgres(where, options)
	default:
		err = fmt.Errorf("open the store: %q is not a supported store; give a file, or a URL that begins with postgres://", scheme)
	}
	if err != nil {
		return nil, err
	}
	if err := s.setUp(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the store %s: %w", s.where, s.explain(err)), s.db.Close())
	}
	return s, nil
}

// openFile does not read the file: closing a file drops every lock that this process has on it, those of SQLite too.
func openFile(path string, options Options) (*Store, error) {
	if path == "" {
		return nil, errors.New("open the store: its name is empty; give a file, or a URL that begins with postgres://")
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open the store %s: %w", path, err)
	}
	if info, err := os.Stat(filepath.Dir(absolute)); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("open the store %s: there is no folder %s; create it first", path, filepath.Dir(absolute))
	}
	if info, err := os.Stat(absolute); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open the store %s: it is not a regular file; give the name of a new file or of a store", path)
	} else if err != nil && (options.ReadOnly || !errors.Is(err, fs.ErrNotExist)) {
		return nil, fmt.Errorf("open the store %s: %w", path, err)
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	// synchronous=NORMAL: a commit is in the kernel's hands when it returns, so that no SIGKILL undoes it, but on the disk only
	// after a checkpoint, every 1,000 pages. A power cut may therefore take back the last hundreds of changes, never a part of
	// one: those trials run or wait again, and their runs' folders still have the checkpoints. FULL would wait for the disk at
	// each commit, of heartbeats too, and more than doubles the price of a trial; the figures are at BenchmarkClaimFinish.
	query := url.Values{
		"_busy_timeout": {fmt.Sprint(options.Patience.Milliseconds())}, "_synchronous": {"NORMAL"}, "_txlock": {"immediate"},
		"_defensive": {"1"}, "_dqs": {"0"}, "_error_rc": {"1"}, "_pragma": {"trusted_schema(0)", "cell_size_check(1)"},
	}
	if options.ReadOnly {
		query.Del("_synchronous") // it would be written
		query.Set("mode", "ro")
		// A reader in SQLite's log of changes makes files beside a store that has none. Without them all is in the store, and who cannot write
		// there may take it for what nobody changes.
		if changes, err := os.Stat(absolute + "-wal"); errors.Is(err, fs.ErrNotExist) || err == nil && changes.Size() == 0 {
			query.Set("immutable", "1")
		}
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: absolute}).EscapedPath()+"?"+query.Encode())
	if err != nil {
		return nil, fmt.Errorf("open the store %s: %w", path, err)
	}
	// One at a time: the goroutines of a process wait for each other here, at once and in order, and not in SQLite's retries.
	db.SetMaxOpenConns(1)
	return &Store{db: db, where: path, options: options, backend: sqliteBackend}, nil
}

func openPostgres(where string, options Options) (*Store, error) {
	// The errors of both parsers may show what they could not read, and with it the password.
	at, err := url.Parse(where)
	if err != nil {
		return nil, errors.New("open the store: the URL cannot be read (it is not shown: it may have a password); " +
			"write postgres://USER@HOST:PORT/DATABASE, with %XX for special characters")
	}
	shown := (&url.URL{Scheme: at.Scheme, User: url.User(at.User.Username()), Host: at.Host, Path: at.Path}).String()
	config, err := pgx.ParseConfig(where)
	if err != nil {
		return nil, fmt.Errorf("open the store %s: the URL, or what the PG… environment variables add to it, is not valid; "+
			"write postgres://USER@HOST:PORT/DATABASE?setting=value with settings of libpq", shown)
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 10 * time.Second
	}
	for name, limit := range map[string]time.Duration{
		"lock_timeout": options.Patience, "idle_in_transaction_session_timeout": options.Patience / 2,
	} {
		if _, set := config.RuntimeParams[name]; !set {
			config.RuntimeParams[name] = fmt.Sprint(limit.Milliseconds())
		}
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(4) // hundreds of workers may share a server that takes a hundred connections by default
	return &Store{db: db, where: shown, options: options, backend: postgresBackend}, nil
}

// setUp makes the tables if there are none, and looks whether they are ours.
func (s *Store) setUp(ctx context.Context) error {
	var foreign int
	if err := s.db.QueryRowContext(ctx, s.backend.foreign).Scan(&foreign); err != nil {
		return err
	}
	if foreign > 0 {
		return errors.New("it is the database of another program; choose another file")
	}
	if s.backend.wal && s.options.ReadOnly {
		if err := s.read(ctx, checkVersion(ctx)); err != nil {
			return err
		}
		return s.prepare(ctx)
	}
	if s.backend.wal {
		if err := s.setWAL(ctx); err != nil {
			return err
		}
	}
	err := s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, s.backend.exclude); err != nil {
			return err
		}
		var ready int
		if err := tx.QueryRowContext(ctx, s.backend.ready).Scan(&ready); err != nil {
			return err
		}
		if ready == 0 {
			for _, statement := range schema {
				if _, err := tx.ExecContext(ctx, s.backend.words.Replace(statement)); err != nil {
					return err
				}
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO latent_schema (version) VALUES ($1)`, schemaVersion); err != nil {
				return err
			}
		}
		return checkVersion(ctx)(tx)
	})
	if err != nil {
		return err
	}
	return s.prepare(ctx)
}

// checkVersion looks in a transaction whether this program knows the tables.
func checkVersion(ctx context.Context) func(*sql.Tx) error {
	return func(tx *sql.Tx) error {
		var version int
		if err := tx.QueryRowContext(ctx, `SELECT max(version) FROM latent_schema`).Scan(&version); err != nil {
			return err
		}
		if version > schemaVersion {
			return fmt.Errorf("its tables have version %d, and this Latent supports versions up to %d; use a newer Latent", version, schemaVersion)
		}
		if version != schemaVersion {
			return fmt.Errorf("it is damaged: its tables say version %d", version)
		}
		return nil
	}
}

// setWAL makes the file one where readers do not wait for writers, and refuses one that cannot be written: SQLite would only
// say so at the first change. Where several processes do it at once, SQLite says that the file is locked without waiting.
func (s *Store) setWAL(ctx context.Context) error {
	if err := s.wantWritable(ctx); err != nil {
		return err
	}
	for deadline := time.Now().Add(s.options.Patience); ; {
		var mode string
		err := s.db.QueryRowContext(ctx, `PRAGMA journal_mode = WAL`).Scan(&mode)
		switch {
		case err == nil && mode == "wal":
			return nil
		case err == nil:
			return fmt.Errorf("its file system does not support SQLite's shared memory (journal mode %s); put it on a local disk", mode)
		case sqliteCode(err) != sqlite3.SQLITE_BUSY || time.Now().After(deadline):
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (s *Store) wantWritable(ctx context.Context) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(driver any) error {
		readOnly, err := driver.(interface {
			IsReadOnly(schema string) (bool, error)
		}).IsReadOnly("main")
		if err == nil && readOnly {
			err = errors.New("it is not writable; choose another place, or change the file's permissions")
		}
		return err
	})
}

// Close ends the store's use. Trials that run stay claimed until their leases run out.
func (s *Store) Close() error { return s.db.Close() }

// Errors of names.
var (
	ErrTaken = errors.New("a study with this name already exists")
	ErrNone  = errors.New("there is no study with this name")
)

// Create adds a study without trials, or returns an error that is ErrTaken. config is kept as it is.
func (s *Store) Create(ctx context.Context, name, config string) (*Study, error) {
	study := &Study{Name: name, Config: config, store: s}
	err := errors.Join(checkText("the name", name), checkText("the config", config))
	if name == "" {
		err = errors.New("its name is empty")
	}
	if err == nil {
		err = s.write(ctx, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, s.backend.exclude); err != nil {
				return err
			}
			var taken int
			err := tx.QueryRowContext(ctx, `SELECT count(*) FROM latent_studies WHERE name = $1`, name).Scan(&taken)
			if err != nil {
				return err
			}
			if taken > 0 {
				return ErrTaken
			}
			err = tx.QueryRowContext(ctx, `SELECT COALESCE(max(id), 0) + 1 FROM latent_studies`).Scan(&study.id)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO latent_studies (id, name, config, trials, told, version)
				VALUES ($1, $2, $3, 0, 0, 0)`, study.id, name, config)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("add study %q to %s: %w", name, s.where, s.explain(err))
	}
	return study, nil
}

// Study returns the study of a name, or an error that is ErrNone.
func (s *Store) Study(ctx context.Context, name string) (*Study, error) {
	study := &Study{Name: name, store: s}
	err := s.db.QueryRowContext(ctx, `SELECT id, config FROM latent_studies WHERE name = $1`, name).Scan(&study.id, &study.Config)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("read study %q of %s: %w", name, s.where, s.explain(err))
	}
	return study, nil
}

// Names returns the names of the studies, oldest first.
func (s *Store) Names(ctx context.Context) ([]string, error) {
	names, err := s.names(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the studies of %s: %w", s.where, s.explain(err))
	}
	return names, nil
}

func (s *Store) names(ctx context.Context) (names []string, err error) {
	rows, err := s.db.QueryContext(ctx, `SELECT name FROM latent_studies ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// write runs act in a transaction, and commits it if there is no error.
func (s *Store) write(ctx context.Context, act func(*sql.Tx) error) error {
	return s.transaction(ctx, nil, act)
}

// read runs act in a transaction that sees the same moment in all its statements.
func (s *Store) read(ctx context.Context, act func(*sql.Tx) error) error {
	return s.transaction(ctx, &s.backend.snapshot, act)
}

func (s *Store) transaction(ctx context.Context, options *sql.TxOptions, act func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, options)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := act(tx); err != nil {
		return err
	}
	return tx.Commit()
}

func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff // without what SQLite calls the extended part
	}
	return 0
}

// explain adds to an error of a database what a person can do.
func (s *Store) explain(err error) error {
	cure := ""
	switch sqliteCode(err) {
	case sqlite3.SQLITE_NOTADB:
		cure = "the file is not a store; give the name of a new file or of a store"
	case sqlite3.SQLITE_CORRUPT:
		cure = "the file is damaged; replace it with a copy, or with what `sqlite3 FILE .recover` saves of it"
	case sqlite3.SQLITE_READONLY:
		cure = "the file, its folder or its disk is not writable; choose another place, or change the permissions"
	case sqlite3.SQLITE_CANTOPEN:
		cure = "the file cannot be opened; check the permissions of the file and its folder"
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		cure = fmt.Sprintf("another process has locked the file for more than %v; look for a suspended process", s.options.Patience)
	case sqlite3.SQLITE_FULL:
		cure = "the disk is full; free some space, and nothing is lost"
	case sqlite3.SQLITE_IOERR:
		cure = "the disk or its file system has failed, or is full"
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		// What a server says has no password in it, and is said without the words around it.
		err = fmt.Errorf("%s (%s)", e.Message, e.Code)
		switch e.Code {
		case "28P01", "28000":
			cure = "give the right user and password in the URL, in PGPASSWORD or in ~/.pgpass"
		case "3D000":
			cure = "create the database with createdb, or name another"
		case "42501":
			cure = "allow the user to create and change tables there"
		case "53300":
			cure = "raise max_connections of the server, or run fewer workers"
		case "25P03":
			cure = fmt.Sprintf("the change was idle for more than %v, and was rolled back; try again", s.options.Patience/2)
		case "55P03":
			cure = fmt.Sprintf("another process has locked the study for more than %v; look for a suspended process", s.options.Patience)
		}
	} else if e, ok := errors.AsType[*pgconn.ConnectError](err); ok && !errors.Is(err, context.Canceled) {
		// A line for each way that was tried; they differ in the encryption only.
		first, _, _ := strings.Cut(e.Unwrap().Error(), "\n")
		err = fmt.Errorf("the server cannot be reached: %s", first)
		cure = "check that it is running, and that host and port are right"
	}
	if cure == "" {
		return err
	}
	return fmt.Errorf("%w; %s", err, cure)
}
