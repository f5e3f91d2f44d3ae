package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"

	"chatrelay/configs"
	"chatrelay/internal/admin"
)

// changeSome changes all dead letters that are picked, a batch at a time, and says how many in any case.
func changeSome(ctx context.Context, c *configs.Config, out io.Writer, verb string, p admin.Selection) error {
	change, closing, err := changer(ctx, c, verb)
	if err != nil {
		return err
	}
	n, err := batches(ctx, change, p)
	_, printing := fmt.Fprintf(out, "%s: %d\n", verb, n)
	return errors.Join(err, closing(), printing)
}

type changeBatch func(context.Context, admin.Selection) (admin.Batch, error)

// changer asks the running relay, or changes the journal itself when none runs.
func changer(ctx context.Context, c *configs.Config, verb string) (change changeBatch, closing func() error, err error) {
	token, err := tokenOf(c)
	if err != nil {
		return nil, nil, err
	}
	running := func(ctx context.Context, p admin.Selection) (b admin.Batch, err error) {
		body, err := ask(ctx, &c.HTTP, http.MethodPost, "/dead/"+verb+"?"+p.Query(), token)
		if err == nil {
			err = json.Unmarshal(body, &b)
		}
		return b, err
	}
	if _, err := ask(ctx, &c.HTTP, http.MethodGet, "/livez", ""); !errors.Is(err, syscall.ECONNREFUSED) {
		return running, func() error { return nil }, nil // what else may be wrong it says itself
	}
	d, closing, err := stopped(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	if verb == "drop" {
		return d.DropSome, closing, nil
	}
	return d.RequeueSome, closing, nil
}

func batches(ctx context.Context, change changeBatch, p admin.Selection) (n int, err error) {
	for {
		b, err := change(ctx, p)
		if err != nil {
			return n, err
		}
		n += b.Changed
		switch {
		case b.Full:
			return n, errors.New("the journal has no room for more that waits (CHATRELAY_STORE_MAX_PENDING): requeue the rest when these are delivered")
		case b.Next == 0:
			return n, nil
		}
		p.After = b.Next
	}
}
