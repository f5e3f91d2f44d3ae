package app

import (
	"errors"
	"fmt"
	"os"

	"chatrelay/bridge"
	"chatrelay/configs"
	"chatrelay/internal/journal"
)

// checkStore opens the journal for looking only: a relay may have it in its hands.
func checkStore(c *configs.Config) bridge.Step {
	s := bridge.Step{Name: "store " + c.Store.Dir, OK: true}
	fail := func(fatal bool, note, fix string) bridge.Step {
		s.OK, s.Fatal, s.Note, s.Fix = false, fatal, note, fix
		return s
	}
	why := storageWarning(c.Store.Dir)
	warned := func(note string) bridge.Step {
		if s.Note = note; why != "" {
			return fail(false, "it "+why, "let CHATRELAY_STORE name a folder on a disk that stays")
		}
		return s
	}
	if c.Store.Dir == "memory" {
		return warned("")
	}
	if err := writable(c.Store.Dir); err != nil {
		return fail(true, "it cannot be written to: "+err.Error(), "let CHATRELAY_STORE name a folder that the relay's user may write to")
	}
	r, err := journal.OpenReadOnly(c.Store.Dir)
	switch {
	case errors.Is(err, os.ErrNotExist) && !errors.Is(err, journal.ErrDamaged):
		return warned("no journal yet: one is made at the first start")
	case err != nil: // damaged, or written by a newer version: a start would be refused too
		return fail(true, err.Error(), "put it right, or let CHATRELAY_STORE name another folder: then what waits in this one is not sent")
	}
	if err := r.Close(); err != nil {
		return warned(err.Error())
	}
	return warned("there is a journal")
}

// checkSpace holds what is free against what the journal may become.
func checkSpace(c *configs.Store) bridge.Step {
	s := bridge.Step{Name: "space for the store", OK: true}
	free, ok := freeBytes(c.Dir)
	if !ok {
		s.Note = "not known"
		return s
	}
	have := configs.Size(free &^ (1<<20 - 1)) // whole MiB are enough to read
	wanted := int64(c.MaxBytes) - used(c.Dir)
	s.Note = fmt.Sprintf("%v free, up to %v for the journal (CHATRELAY_STORE_MAX_BYTES)", have, c.MaxBytes)
	if free < wanted {
		s.OK = false
		s.Note = fmt.Sprintf("%v free, and the journal may grow to %v: with a full disk nothing more is taken", have, c.MaxBytes)
		s.Fix = "make room, or lower CHATRELAY_STORE_MAX_BYTES: then senders are told in time"
	}
	return s
}

// used is how many bytes lie in the store already.
func used(dir string) (sum int64) {
	entries, _ := os.ReadDir(dir) // what cannot be read has been said
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
	}
	return sum
}
