package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"chatrelay/configs"
	"chatrelay/internal/journal"
)

// wrongMost is how many lines say what does not fit together.
const wrongMost = 50

func journalVerify(ctx context.Context, c *configs.Config, out io.Writer, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%w: %s", errUsage, journalUsage)
	}
	v, err := journal.Verify(ctx, c.Store.Dir)
	if v == nil {
		return err
	}
	for _, line := range v.Wrong[:min(wrongMost, len(v.Wrong))] {
		if _, err := fmt.Fprintln(out, "wrong:", line); err != nil {
			return err
		}
	}
	if err != nil { // behind that nothing could be compared
		return err
	}
	if n := len(v.Wrong); n > 0 {
		return fmt.Errorf("journal %s: %d things do not fit together. Keep the folder as it is, and see Restore in docs/OPERATIONS.md", v.ID, n)
	}
	_, err = fmt.Fprintf(out, "journal %s: ok. The tables stand at frame %d, the log has %d to %d. "+
		"Compared with its own frames: %d messages. Deliveries that wait: %d, dead letters: %d\n",
		v.ID, v.Position, v.First, v.Last, v.Compared, v.Open, v.Dead)
	return err
}

func journalBackup(ctx context.Context, c *configs.Config, out io.Writer, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return fmt.Errorf("%w: %s", errUsage, journalUsage)
	}
	r, err := journal.OpenReadOnly(c.Store.Dir)
	if err != nil {
		return err
	}
	made, err := r.Backup(ctx, args[0])
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "journal %s: copied up to frame %d into %s. It knows nothing of what comes after: "+
		"start a relay on it only if the journal itself is lost (Restore in docs/OPERATIONS.md)\n", made.ID, made.Last, args[0])
	return err
}
