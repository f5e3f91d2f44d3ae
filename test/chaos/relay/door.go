package main

import (
	"bytes"
	"os"

	"chatrelay/bridge"
)

// offers writes down what comes in, in the order in which a side offers it: CHAOS_DOOR names the file. A server that
// brings messages out of order (ejabberd may, when a stream is resumed under load) is told from a relay that does.
type offers struct{ f *os.File }

func openConnector(name string) (*offers, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return &offers{f}, err
}

// note writes the content, which is a message's number, on a line of its own.
func (d *offers) note(in *bridge.Inbound) {
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
