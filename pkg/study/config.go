package study

import (
	"context"
	"database/sql"
	"time"
)

// SetConfig puts another config in the place of the study's.
func (s *Study) SetConfig(ctx context.Context, config string) error {
	err := checkText("the config", config)
	if err == nil {
		err = s.store.write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE latent_studies SET config = $1 WHERE id = $2`, config, s.id)
			return err
		})
	}
	if err != nil {
		return s.failed("set the config", err)
	}
	s.Config = config
	return nil
}

// Lease is how long a worker may be silent.
func (s *Study) Lease() time.Duration { return s.store.options.Lease }
