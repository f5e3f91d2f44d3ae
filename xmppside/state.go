package xmppside

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"strings"

	"chatrelay/bridge"
	"chatrelay/xmppside/sm"
	"chatrelay/xmppside/stanza"
)

// Keys of the side's memory in the journal; mam and muc have more. Never rename one.
const (
	keySecret = "secret" // of our stanza ids
	keyStream = "stream" // sm.Session, JSON
	keyCount  = "count." // and a hash of the stream's id: its h, 8 bytes
	keyOthers = "others" // JSON

	keySubscriber = "subscriber." // and landline/bare JID: who wants to see whether the landline is there
	keyName       = "name."       // and a landline: what it calls itself
)

// countKey is where the h of a stream is kept that goes with each record. Each stream has a key of its own: a
// record that is late must not overwrite the count of the stream after.
func countKey(stream string) string {
	sum := sha256.Sum256([]byte(stream))
	return keyCount + hex.EncodeToString(sum[:6])
}

// countRow is the h that a record carries; none without XEP-0198.
func countRow(s sm.Session) []bridge.StateRow {
	if s.ID == "" {
		return nil
	}
	return []bridge.StateRow{{Key: countKey(s.ID), Value: binary.BigEndian.AppendUint64(nil, s.In)}}
}

// savedSession reads the stream of before, and lists what is left over of older ones.
func savedSession(state map[string][]byte) (x sm.Session, stale []bridge.StateRow) {
	if json.Unmarshal(state[keyStream], &x) != nil || len(x.ID) >= stanza.MostID {
		x = sm.Session{}
	}
	for key, value := range state {
		switch {
		case !strings.HasPrefix(key, keyCount):
		case x.ID == "" || key != countKey(x.ID) || len(value) != 8:
			stale = append(stale, bridge.StateRow{Key: key})
		default:
			x.In = max(x.In, binary.BigEndian.Uint64(value))
		}
	}
	return x, stale
}
