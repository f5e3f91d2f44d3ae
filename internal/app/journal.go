package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"syscall"
	"text/tabwriter"
	"time"

	"chatrelay/bridge"
	"chatrelay/configs"
	"chatrelay/internal/admin"
	"chatrelay/internal/journal"
	"chatrelay/internal/trace"
)

const journalUsage = "journal ls [-dead] [-pending] [PICK] [-after SEQ] [-limit N] | show MESSAGE | " +
	"requeue DEAD-LETTER… | drop DEAD-LETTER… | requeue PICK | drop PICK | requeue -all | drop -all | verify | backup DIR; " +
	"PICK is [-reason WORD] [-sender LANDLINE] [-to LANDLINE-OR-ROOM] [-older AGE, such as 36h]"

// Journal inspects and copies the journal, beside a running relay or without one, and puts dead letters back or away.
func Journal(p Process) error {
	if len(p.Args) == 0 {
		return fmt.Errorf("%w: %s", errUsage, journalUsage)
	}
	c, err := configs.Load(p.Environ)
	if err := configs.About(err, "STORE", "HTTP"); err != nil {
		return err
	}
	if c.Store.Dir == "memory" {
		return fmt.Errorf("%w: CHATRELAY_STORE is memory: there is no journal to look into", errUsage)
	}
	ctx, _, release := signals()
	defer release()
	verb, args := p.Args[0], p.Args[1:]
	switch verb {
	case "ls":
		return journalList(ctx, &c, p, args)
	case "show":
		if len(args) > 0 && helpWanted(args[0]) {
			_, err := io.WriteString(p.Out, journalHelp)
			return err
		}
		return journalShow(ctx, &c, p.Out, args)
	case "requeue", "drop":
		return journalChange(ctx, &c, p, verb, args)
	case "verify", "backup":
		if len(args) > 0 && helpWanted(args[0]) {
			_, err := io.WriteString(p.Out, journalHelp)
			return err
		}
		if verb == "verify" {
			return journalVerify(ctx, &c, p.Out, args)
		}
		return journalBackup(ctx, &c, p.Out, args)
	}
	return fmt.Errorf("%w: %s", errUsage, journalUsage)
}

func journalList(ctx context.Context, c *configs.Config, p Process, args []string) error {
	flags, f, selection := listFlags()
	if helped, err := p.parse(flags, args, journalUsage); helped || err != nil {
		return err
	}
	if flags.NArg() > 0 || f.Limit < 1 {
		return fmt.Errorf("%w: %s", errUsage, journalUsage)
	}
	picked := filterOf(*selection)
	f.Reason, f.From, f.To, f.Before = picked.Reason, picked.From, picked.To, picked.Before
	r, err := journal.OpenReadOnly(c.Store.Dir)
	if err != nil {
		return err
	}
	found, err := r.List(ctx, *f)
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	return table(p.Out, found)
}

func table(out io.Writer, found []journal.DeliveryInfo) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, err := fmt.Fprintln(w, "SEQ\tLETTER\tSTATE\tSIDE\tFROM\tTO\tBYTES\tTRIES\tTAKEN\tREASON")
	for _, e := range found {
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", e.Seq, e.Ref, e.State, e.Side, e.From, e.To,
			e.Size, e.Attempts, e.At.UTC().Format(time.RFC3339), reason(e))
	}
	return errors.Join(err, w.Flush())
}

func reason(e journal.DeliveryInfo) string {
	if e.Text == "" {
		return e.Reason
	}
	return e.Reason + ": " + e.Text
}

func journalShow(ctx context.Context, c *configs.Config, out io.Writer, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%w: %s", errUsage, journalUsage)
	}
	msg, err := strconv.ParseUint(args[0], 10, 64)
	if ref, bad := admin.ParseRef(args[0]); bad == nil {
		msg, err = ref.Msg, nil
	}
	if err != nil {
		return fmt.Errorf("%w: a message is a number such as 12", errUsage)
	}
	r, err := journal.OpenReadOnly(c.Store.Dir)
	if err != nil {
		return err
	}
	found, body, err := r.Show(ctx, msg)
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	if err := table(out, found); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\n%s\n", body)
	return err
}

// journalChange asks the running relay, or changes the journal itself when none runs.
func journalChange(ctx context.Context, c *configs.Config, p Process, verb string, args []string) error {
	flags, selection, all := changeFlags(verb)
	if helped, err := p.parse(flags, args, journalUsage); helped || err != nil {
		return err
	}
	if flags.NFlag() > 0 {
		if flags.NArg() > 0 || *all == (*selection != admin.Selection{}) || selection.Older < 0 {
			return fmt.Errorf("%w: %s", errUsage, journalUsage)
		}
		return changeSome(ctx, c, p.Out, verb, *selection)
	}
	refs := make([]bridge.Ref, 0, len(args))
	for _, a := range args {
		ref, err := admin.ParseRef(a)
		if err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		refs = append(refs, ref)
	}
	if len(refs) == 0 {
		return fmt.Errorf("%w: %s", errUsage, journalUsage)
	}
	err := changeRunning(ctx, c, verb, refs)
	if errors.Is(err, syscall.ECONNREFUSED) {
		err = changeStopped(ctx, c, verb, refs)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.Out, "%s: %d\n", verb, len(refs))
	return err
}

func changeRunning(ctx context.Context, c *configs.Config, verb string, refs []bridge.Ref) error {
	token, err := tokenOf(c)
	if err != nil {
		return err
	}
	for _, ref := range refs {
		if _, err := ask(ctx, &c.HTTP, http.MethodPost, "/dead/"+ref.String()+"/"+verb, token); err != nil {
			return fmt.Errorf("%s: %w", ref, err)
		}
	}
	return nil
}

func tokenOf(c *configs.Config) (string, error) {
	if secret := c.HTTP.Secret(); secret != nil {
		return secret()
	}
	return "", nil
}

func changeStopped(ctx context.Context, c *configs.Config, verb string, refs []bridge.Ref) error {
	d, closing, err := stopped(ctx, c)
	if err != nil {
		return err
	}
	do, what := d.j.Requeue, trace.Requeued
	if verb == "drop" {
		do, what = d.j.Drop, trace.Dropped
	}
	if err = do(ctx, refs...); err == nil {
		d.tell(what, refs...)
	}
	return errors.Join(err, closing())
}
