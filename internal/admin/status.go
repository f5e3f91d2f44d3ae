package admin

import (
	"math"
	"net/http"
	"strings"
	"time"

	"chatrelay/bridge"
)

// The words of the balance, as the journal counts them. received = the sum of settled and pending.
const (
	Received  = "received"
	Delivered = "delivered"
	duplicate = "duplicate"
	ignored   = "ignored"
	refused   = "refused"
	dead      = "dead"
	pending   = "pending"
	bounced   = "bounced"
)

// outcomes are the ways in which a message that was received can end.
func outcomes() []string { return []string{Delivered, duplicate, ignored, refused, dead} }

// balance is one side's account, or that of both.
type balance struct {
	Counts     map[string]int64 `json:"counts"`
	Reasons    map[string]int64 `json:"reasons"` // "refused bad_to": how many
	Difference int64            `json:"balance"` // received less all that became of it: 0 when nothing is in the intake's hands
}

type sideStatus struct {
	Up     bool   `json:"up"`
	Reason string `json:"reason,omitempty"`
	// Offered counts offers since the process started, apart from the journal. What was turned away because the
	// journal was full is among them; it is not received.
	Offered int64 `json:"offered"`
	Open    int64 `json:"open"` // deliveries to this side that are not settled
	// InFlight are those of them that the side has on its wire, Window is how many that may be.
	InFlight int `json:"in_flight"`
	Window   int `json:"window"`
	// Lost counts connections that have ended while they were in use, since the process started.
	Lost int64 `json:"connections_lost"`
	// CertificateDays is how long the certificates of this side are good that were seen last; nil: there are none.
	CertificateDays *int `json:"certificate_days,omitempty"`
	balance
}

type storeStatus struct {
	Bytes    int64   `json:"bytes"`
	Limit    int64   `json:"limit"`
	Pending  int64   `json:"pending"`       // deliveries that wait, those of answers too
	Most     int64   `json:"pending_limit"` // 0: none
	Full     bool    `json:"full"`
	WriteErr string  `json:"write_error,omitempty"`
	Keys     int     `json:"keys"`
	Oldest   float64 `json:"oldest_pending_seconds"`
}

// Status is what /statusz says.
type Status struct {
	Version string  `json:"version"`
	Started string  `json:"started"`
	Uptime  float64 `json:"uptime_seconds"`
	Ready   health  `json:"ready"`
	balance
	Sides map[string]sideStatus `json:"sides"`
	Rooms map[string]roomStatus `json:"rooms"` // the served ones
	Store storeStatus           `json:"store"`
}

func (s *Server) statusz(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, s.Status())
}

// Status may be called from any goroutine.
func (s *Server) Status() Status { return s.status(s.cfg.Balance.Totals(), s.cfg.Clock()) }

func (s *Server) status(a bridge.Totals, now time.Time) Status {
	out := Status{
		Version: s.cfg.Version, Started: s.started.UTC().Format(time.RFC3339), Uptime: now.Sub(s.started).Seconds(),
		Ready: s.ready(a), balance: balanceOf(a, bridge.MQTT, bridge.XMPP), Sides: make(map[string]sideStatus, len(s.cfg.Sides)), Rooms: s.roomStatus(),
		Store: storeStatus{Bytes: a.Bytes, Limit: a.Limit, Pending: a.Deliveries, Most: a.MaxDeliveries, Full: a.Full, WriteErr: a.WriteErr, Keys: a.Keys, Oldest: a.Oldest.Seconds()},
	}
	lost, ends := map[bridge.SideID]int64{}, s.cfg.Certificates()
	for loss, n := range s.losses() {
		lost[loss.Side] += n
	}
	for _, side := range s.cfg.Sides {
		up, why := side.Up()
		if up {
			why = ""
		}
		id := side.ID()
		out.Sides[id.String()] = sideStatus{Up: up, Reason: why, Offered: s.cfg.Offers.Offered(id), Open: a.Open[id], balance: balanceOf(a, id),
			InFlight: s.cfg.InFlight(id), Window: s.cfg.Window(id), Lost: lost[id], CertificateDays: daysLeft(ends, id, now)}
	}
	return out
}

// daysLeft is until the first certificate of a side ends; their names begin with the side's.
func daysLeft(ends map[string]time.Time, side bridge.SideID, now time.Time) (days *int) {
	for name, end := range ends {
		left := int(math.Floor(end.Sub(now).Hours() / 24))
		if strings.HasPrefix(name, side.String()+"_") && (days == nil || left < *days) {
			days = &left
		}
	}
	return days
}

// balanceOf adds up what came from the sides. Each of its words is there, be it 0.
func balanceOf(a bridge.Totals, sides ...bridge.SideID) balance {
	l := balance{Counts: map[string]int64{Received: 0, pending: 0}, Reasons: map[string]int64{}}
	for _, word := range outcomes() {
		l.Counts[word] = 0
	}
	for _, side := range sides {
		l.Counts[pending] += a.Pending[side]
		for c, n := range a.Counts {
			if c.Side != side {
				continue
			}
			l.Counts[c.Name] += n
			if c.Reason != "" {
				l.Reasons[c.Name+" "+c.Reason] += n
			}
		}
	}
	l.Difference = l.Counts[Received] - l.Counts[pending]
	for _, word := range outcomes() {
		l.Difference -= l.Counts[word]
	}
	return l
}
