package chaos

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// tinyDisk puts the journal on a file system of 48 MiB. It needs root.
func tinyDisk(r *trial) {
	dir := r.t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=48m"); err != nil {
		r.t.Skipf("mount: %v", err)
	}
	r.t.Cleanup(func() { r.s.Relay.Kill(); r.check("umount", syscall.Unmount(dir, syscall.MNT_DETACH)) })
	r.s.Relay.Stop()
	r.s.Relay.Set("STORE", filepath.Join(dir, "store"))
	r.s.Relay.Start()
}

// fullDisk fills it up, waits, and makes room again.
func fullDisk(r *trial) {
	filler := filepath.Join(filepath.Dir(r.s.Relay.Store()), "filler")
	f, err := os.Create(filler)
	if err != nil {
		r.t.Fatal(err)
	}
	block := bytes.Repeat([]byte{1}, 4096)
	for err == nil {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		r.t.Errorf("fill: %v", err)
	}
	r.pause(5 * time.Second)
	if _, ended := r.s.Relay.Ended(0); ended {
		r.t.Fatal("the relay ended of a full disk")
	}
	r.check("filler", errors.Join(f.Close(), os.Remove(filler)))
	r.healed()
}

// damage: what a power cut leaves behind is mended; what is worse stops the relay, and the journal, put back, serves on.
func damage(r *trial) {
	journal, log := filepath.Join(r.s.Relay.Store(), "journal.db"), filepath.Join(r.s.Relay.Store(), "log.db")
	r.s.Relay.Kill()
	for _, file := range []string{journal, log} {
		r.check("torn tail", appendTo(file+"-wal", bytes.Repeat([]byte{0xA5}, 5000)))
	}
	r.healed()
	r.s.Relay.Launch()
	r.recovered(r.heals[0])
	for _, d := range []struct {
		name string
		file string
		harm func([]byte) []byte
	}{
		{"the log empty", log, func([]byte) []byte { return nil }},
		{"the journal empty", journal, func([]byte) []byte { return nil }},
		{"its head overwritten", journal, func(b []byte) []byte { copy(b, make([]byte, 100)); return b }},
		{"a page in the middle overwritten", journal, func(b []byte) []byte { copy(b[len(b)/2/4096*4096:], make([]byte, 4096)); return b }},
	} {
		r.s.Relay.Stop()
		// Folded in, or what is spoilt is still whole in SQLite's log; and looked at page by page, as after a kill.
		r.check("torn tail", os.WriteFile(d.file+"-wal", bytes.Repeat([]byte{0xA5}, 5000), 0o600))
		r.spoil(d.name, d.file, d.harm)
		r.healed()
		r.s.Relay.Launch()
		r.recovered(r.heals[len(r.heals)-1])
	}
}

// spoil harms a file of the journal, wants the relay to refuse it, and puts it back.
func (r *trial) spoil(name, journal string, harm func([]byte) []byte) {
	r.t.Helper()
	whole := map[string][]byte{}
	for _, file := range []string{journal, journal + "-wal"} {
		b, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			r.t.Fatal(err)
		}
		whole[file] = b
	}
	r.check(name, os.WriteFile(journal, harm(bytes.Clone(whole[journal])), 0o600))
	r.s.Relay.Launch()
	err, ended := r.s.Relay.Ended(5 * time.Second)
	switch {
	case !ended:
		r.t.Errorf("%s: the relay runs on it", name)
		r.s.Relay.Kill()
	case err == nil:
		r.t.Errorf("%s: the relay ended with code 0", name)
	}
	for file, b := range whole {
		r.check("put back", os.WriteFile(file, b, 0o600))
	}
	_ = os.Remove(journal + "-shm") // made of the log at each start
}

func appendTo(file string, b []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = f.Write(b)
	}
	return errors.Join(err, f.Close())
}
