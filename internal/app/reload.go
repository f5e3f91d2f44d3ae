package app

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/bridge"
	"chatrelay/configs"
)

// lookEvery is how often the files are looked at. One that has changed is read when it has stayed as it is for as long:
// whoever writes it may not be done.
const lookEvery = time.Second

// emptyFor is how long a table that was emptied in place must have stayed empty until that counts: an editor or a script
// that writes into the file itself empties it first.
const emptyFor = 5 * time.Second

// reloader reads the groups file, the identity file and the TLS files again when SIGHUP comes or one of them has changed.
// All of them come into force together. When one is wrong the old ones stay, all of them.
type reloader struct {
	cfg   *configs.Config
	apply func(configs.Files)
	log   zerolog.Logger
	hup   chan os.Signal // capacity 1: one reading serves all signals before it

	tried   []print   // of the files that were read last, good or bad
	inForce []print   // of those in force
	emptied time.Time // since when a table is empty that had rows; zero: none is
}

// newReloader takes over SIGHUP, which would end the process. Call stop in the end.
func newReloader(cfg *configs.Config, log zerolog.Logger) (r *reloader, stop func()) {
	now := prints(cfg.Watched())
	r = &reloader{cfg: cfg, log: log, hup: make(chan os.Signal, 1), tried: now, inForce: now}
	signal.Notify(r.hup, syscall.SIGHUP)
	return r, func() { signal.Stop(r.hup) }
}

// run reads until ctx ends.
func (r *reloader) run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	before := r.tried
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.hup:
			before = prints(r.cfg.Watched())
			r.read("SIGHUP", before)
		case <-tick.C:
			now := prints(r.cfg.Watched())
			waited := !r.emptied.IsZero() && time.Since(r.emptied) >= emptyFor
			if same(now, before) && (!same(now, r.tried) || waited) {
				r.read("a file has changed", now)
			}
			before = now
		}
	}
}

func (r *reloader) read(why string, now []print) {
	files, err := configs.Files{}, r.checkEmptied(now)
	if err == nil {
		files, err = r.cfg.Reread()
	}
	again := same(now, r.tried) && !r.emptied.IsZero()
	r.tried = now
	if err != nil && again {
		return // said already
	}
	if err != nil {
		r.log.Error().Err(err).Str("cause", why).Str("fix", "mend the file: it is read again when it changes, and on SIGHUP").
			Msg("the files cannot be used: those of before stay in force, all of them")
		return
	}
	r.inForce = now
	r.apply(files)
	r.log.Info().Str("cause", why).Int("rooms", len(files.Groups)).Int("identities", len(files.Identity)).
		Msg("the files were read again and are in force; TLS files count from the next connection on")
}

// checkEmptied refuses a table that had rows and is empty now, in place. A file that was put into the other's place is
// complete, and means what it says.
func (r *reloader) checkEmptied(now []print) error {
	for i, name := range r.cfg.Watched() {
		table := name == r.cfg.Messages.GroupsFile || name == r.cfg.Messages.IdentityFile
		old, is := r.inForce[i].info, now[i].info
		if !table || old == nil || is == nil || old.Size() == 0 || is.Size() > 0 || !os.SameFile(old, is) {
			continue
		}
		if r.emptied.IsZero() || !same(now, r.tried) {
			r.emptied = time.Now()
		}
		if time.Since(r.emptied) < emptyFor {
			return fmt.Errorf("%s had rows and is empty: that counts when it has stayed so for %v", name, emptyFor)
		}
	}
	r.emptied = time.Time{}
	return nil
}

// print tells one state of a file from another, a link that points elsewhere from what it pointed to before.
type print struct {
	info os.FileInfo // nil: it is not there
	err  string
}

func prints(files []string) []print {
	out := make([]print, len(files))
	for i, f := range files {
		info, err := os.Stat(f)
		if out[i].info = info; err != nil {
			out[i] = print{err: err.Error()}
		}
	}
	return out
}

func same(a, b []print) bool {
	return slices.EqualFunc(a, b, func(a, b print) bool {
		if a.info == nil || b.info == nil {
			return a.info == nil && b.info == nil && a.err == b.err
		}
		return os.SameFile(a.info, b.info) && a.info.Size() == b.info.Size() && a.info.ModTime().Equal(b.info.ModTime())
	})
}

// use puts files into force. The XMPP side knows a new room before anybody may speak there, and an old one until nobody
// may, so that nothing is turned away that either directory lets pass.
func (r *relay) use(f configs.Files) {
	both := maps.Clone(f.Groups)
	for room := range r.files.Load().Groups {
		both[room] = nil
	}
	r.rooms.Serve(slices.Sorted(maps.Keys(both)), f.Identity)
	r.files.Store(&f)
	r.directory.Store(bridge.NewDirectory(f.Groups).With(r.rooms))
	r.rooms.Serve(slices.Sorted(maps.Keys(f.Groups)), f.Identity)
}
