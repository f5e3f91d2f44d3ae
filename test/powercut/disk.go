package powercut

import (
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

const sector = 512 // bytes that a disk writes at once

// Disk is a mounted file system.
type Disk struct {
	t      testing.TB
	at     string
	server *fuse.Server

	mu   sync.Mutex // guards all below, and all files and folders
	root *folder
	dead bool // the power is cut: nothing works any more
}

// Loss is what a cut took.
type Loss struct {
	Sectors int // written and not synced, and gone
	Entries int // of folders, likewise
}

// Mount makes a disk with a copy of the folder from (empty: an empty disk), all of it synced, and mounts it at a new
// folder, which Path tells. It is unmounted with the test at the latest.
func Mount(t testing.TB, from string) *Disk {
	t.Helper()
	d := &Disk{t: t, at: t.TempDir()}
	d.root = d.newFolder()
	if from != "" {
		if err := d.load(d.root, from); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skipf("SKIPPED, NO POWER CUT WAS TRIED: %v", err)
	}
	server, err := fs.Mount(d.at, d.root, &fs.Options{MountOptions: fuse.MountOptions{DirectMount: true, FsName: "powercut", Name: "powercut", MaxBackground: 64},
		RootStableAttr: &fs.StableAttr{Ino: 1}})
	if err != nil {
		t.Skipf("SKIPPED, NO POWER CUT WAS TRIED: mount: %v", err)
	}
	d.server = server
	t.Cleanup(d.Unmount)
	return d
}

// Path is where the disk is mounted.
func (d *Disk) Path() string { return d.at }

// Cut ends the power: from here on everything on the disk fails with EIO. What survives is written into the folder
// to, from which the next disk can be made. The disk stays mounted for whoever still has files open there.
func (d *Disk) Cut(to string) Loss {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
	loss, err := d.root.survive(to)
	if err != nil {
		d.t.Fatalf("power cut: %v", err)
	}
	return loss
}

// Unmount takes the disk away. Twice is harmless.
func (d *Disk) Unmount() {
	if d.server == nil {
		return
	}
	if err := syscall.Unmount(d.at, syscall.MNT_DETACH); err != nil {
		d.t.Errorf("unmount %s: %v", d.at, err)
	}
	d.server.Wait()
	d.server = nil
}

// begin takes the lock of an operation; the caller must give it back unless the power is cut.
func (d *Disk) begin() bool {
	d.mu.Lock()
	if d.dead {
		d.mu.Unlock()
		return false
	}
	return true
}

// load copies a folder, as synced.
func (d *Disk) load(into *folder, from string) error {
	list, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range list {
		path := filepath.Join(from, e.Name())
		if e.IsDir() {
			f := d.newFolder()
			into.synced[e.Name()] = f
			if err := d.load(f, path); err != nil {
				return err
			}
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		into.synced[e.Name()] = &file{disk: d, live: b, synced: append([]byte(nil), b...), dirty: map[int]bool{}}
	}
	return nil
}

// survive writes what is left of a folder into a real one.
func (f *folder) survive(to string) (Loss, error) {
	var loss Loss
	kept := rand.IntN(len(f.pending) + 1)
	loss.Entries = len(f.pending) - kept
	entries := maps.Clone(f.synced)
	for _, change := range f.pending[:kept] {
		change(entries)
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return loss, err
	}
	var failed []error
	for name, n := range entries {
		path := filepath.Join(to, name)
		var more Loss
		var err error
		switch n := n.(type) {
		case *folder:
			more, err = n.survive(path)
		case *file:
			var b []byte
			b, more.Sectors = n.survive()
			err = os.WriteFile(path, b, 0o600)
		}
		loss.Sectors += more.Sectors
		loss.Entries += more.Entries
		failed = append(failed, err)
	}
	return loss, errors.Join(failed...)
}

// survive is what the disk has of a file, and how many sectors are gone.
func (f *file) survive() ([]byte, int) {
	b, lost := append([]byte(nil), f.synced...), 0
	if rand.IntN(2) == 0 {
		b = resized(b, len(f.live))
	}
	for n := range f.dirty {
		if n*sector >= len(b) || n*sector >= len(f.live) || rand.IntN(2) == 0 {
			lost++
			continue
		}
		copy(b[n*sector:min(len(b), (n+1)*sector)], f.live[n*sector:])
	}
	return b, lost
}

func resized(b []byte, n int) []byte {
	if n <= len(b) {
		return b[:n]
	}
	return append(b, make([]byte, n-len(b))...)
}
