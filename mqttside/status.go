package mqttside

import (
	"encoding/json"
	"time"
)

// presence is what the status topic says, retained.
type presence struct {
	Status   string `json:"status"` // online or offline
	ClientID string `json:"clientId"`
	At       int64  `json:"at"`       // ms since the epoch; of the login, for a will
	Instance string `json:"instance"` // of one process: tells two relays with one client id apart
	Prefix   string `json:"prefix"`   // of the inboxes: two relays with one prefix deliver everything twice
}

func (s *Side) status(word string) []byte {
	b, _ := json.Marshal(presence{word, s.cfg.ClientID, time.Now().UnixMilli(), s.instance, s.cfg.Prefix}) // strings and a number never err
	return b
}

// announce publishes the status at QoS 0: it takes no packet id.
func (s *Side) announce(k *connection, word string) {
	if s.cfg.StatusTopic != "" {
		_ = k.conn.Publish(s.cfg.StatusTopic, s.status(word), !k.conn.Limits.NoRetain) // a connection that has closed says it by its will
	}
}
