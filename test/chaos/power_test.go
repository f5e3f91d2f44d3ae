package chaos

import (
	"math/rand/v2"
	"path/filepath"
	"time"

	"chatrelay/test/powercut"
)

// frailDisk puts the journal on a disk whose power can be cut.
func frailDisk(r *trial) {
	r.s.Relay.Stop()
	r.onDisk("")
	r.s.Relay.Start()
}

// onDisk makes a disk of what a cut left, for the relay's next life.
func (r *trial) onDisk(left string) {
	r.t.Helper()
	r.disk = powercut.Mount(r.t, left)
	r.s.Relay.Set("STORE", filepath.Join(r.disk.Path(), "store"))
}

// powerCuts ends relay and disk at once: what was not synced is gone, or half of it is. The next life has what is left.
func powerCuts(r *trial) {
	var sum powercut.Loss
	n := length(20, 3)
	for range n {
		r.pause(time.Duration(rand.IntN(500)) * time.Millisecond)
		left := r.t.TempDir()
		loss := r.disk.Cut(left)
		r.s.Relay.Kill()
		r.disk.Unmount()
		r.say("power cut: %+v", loss)
		sum.Sectors, sum.Entries = sum.Sectors+loss.Sectors, sum.Entries+loss.Entries
		r.onDisk(left)
		r.healed()
		r.s.Relay.Launch()
		r.recovered(r.heals[len(r.heals)-1])
	}
	r.note("%d cuts; gone with the power: %d sectors of 512 bytes, %d entries of folders", n, sum.Sectors, sum.Entries)
	if sum.Sectors == 0 {
		r.t.Error("no cut took a sector: nothing was tried")
	}
}
