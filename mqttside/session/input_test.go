package session

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
)

// TestInput: what a broker says of a length makes no room before it has come, and a long message is whole.
func TestInput(t *testing.T) {
	long := &Publish{Topic: "t", Payload: bytes.Repeat([]byte("0123456789"), 50_000)}
	in := input{bufio.NewReader(bytes.NewReader(appendPublish(nil, long, false))), codec3{}, 0}
	if p, err := in.next(); err != nil || !bytes.Equal(p.Payload, long.Payload) {
		t.Errorf("%d bytes, %v", len(p.Payload), err)
	}
	grown := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		r := bufio.NewReader(nil)
		for range b.N {
			r.Reset(strings.NewReader("\x30\xff\xff\xff\x7f"))
			in := input{r, codec3{}, 0}
			if _, err := in.next(); err == nil {
				b.Fatal("read")
			}
		}
	}).AllocedBytesPerOp()
	if grown > 2*readBuffer {
		t.Errorf("%d bytes for a packet that never comes", grown)
	}
}
