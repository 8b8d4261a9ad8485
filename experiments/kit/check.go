package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
)

// check has Latent find the plugin and the device, and compute what has a known result.
func (k *kit) check(ctx context.Context, o *outcome) error {
	var said bytes.Buffer
	c := k.latent("latent backend check", "backend", "check", k.backend, "--json")
	c.errors = &said
	out, err := k.execute(ctx, c)
	k.change(func() { o.details = codeBlock(said.String()) })
	var found struct{ Name, Device string }
	if jsonErr := json.Unmarshal(out, &found); jsonErr != nil {
		if err == nil {
			err = fmt.Errorf("latent backend check --json: %w", jsonErr)
		}
		return err
	}
	k.change(func() {
		o.Data = json.RawMessage(out)
		if err == nil {
			o.Figure = fmt.Sprintf("%s computes right: %s", found.Name, found.Device)
		}
	})
	return err
}
