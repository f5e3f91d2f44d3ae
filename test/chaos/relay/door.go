package main

import (
	"bytes"
	"os"

	"chatrelay/bridge"
)

// door writes down what comes in, in the order in which a side offers it: CHAOS_DOOR names the file. A server that
// brings messages out of order (ejabberd may, when a stream is resumed under load) is told from a relay that does.
type door struct{ f *os.File }

func openDoor(name string) (*door, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return &door{f}, err
}

// note writes the content, which is a message's number, on a line of its own.
func (d *door) note(in *bridge.Inbound) {
	if d == nil {
		return
	}
	_, rest, ok := bytes.Cut(in.Body, []byte(`"content":"`))
	content, _, _ := bytes.Cut(rest, []byte(`"`))
	if !ok || len(content) > 100 {
		return
	}
	_, _ = d.f.Write(append(bytes.Clone(content), '\n')) // a lost line shows as the relay's fault
}
