package journal

import (
	"fmt"
	"strings"
	"testing"

	"chatrelay/bridge"
)

const benchBatch = 256

// BenchmarkWay is the whole way of a message and its notice: append, next, bind, close, in batches.
func BenchmarkWay(b *testing.B) {
	for _, sync := range []string{"full", "os"} {
		b.Run(sync, func(b *testing.B) {
			o := options(b.TempDir())
			o.Sync = sync
			j := openTest(b, o)
			text := strings.Repeat("x", 300)
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				recs := make([]*bridge.Record, 0, benchBatch)
				for range benchBatch {
					n++
					recs = append(recs, direct(bridge.XMPP, fmt.Sprint("1", n%100), fmt.Sprint("2", n%50), fmt.Sprint(n, text)))
				}
				j.append(recs...)
				benchOut(j, benchBatch)
				benchOut(j, benchBatch) // the notices
				if n%(40*benchBatch) == 0 {
					j.Confirm(bridge.MQTT, j.LastUnproven())
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n), "µs/msg")
		})
	}
}

func benchOut(j *testJournal, n int) {
	refs := make([]bridge.Result, 0, n)
	var ticket uint64
	for range n {
		o := j.next(bridge.MQTT)
		ticket = j.Bind(o.Ref, []byte("session, id, phase"))
		refs = append(refs, bridge.Result{Ref: o.Ref, Unproven: true})
	}
	if err := j.Wait(j.t.Context(), ticket); err != nil {
		j.t.Fatal(err)
	}
	for _, r := range refs {
		j.Settle(r)
	}
	j.sync()
}

func BenchmarkAppend(b *testing.B) {
	j := openTest(b, options(b.TempDir()))
	text := strings.Repeat("x", 300)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		recs := make([]*bridge.Record, 0, benchBatch)
		for range benchBatch {
			n++
			recs = append(recs, direct(bridge.XMPP, fmt.Sprint("1", n%100), fmt.Sprint("2", n%50), fmt.Sprint(n, text)))
		}
		j.append(recs...)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n), "µs/msg")
}
