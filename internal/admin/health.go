package admin

import (
	"net/http"

	"chatrelay/bridge"
)

// health is the body of /livez and /readyz.
type health struct {
	OK      bool     `json:"ok"`
	Reasons []string `json:"reasons,omitempty"` // why not
	// Warnings do not make it not ready.
	Warnings []string `json:"warnings,omitempty"`
}

func (s *Server) livez(w http.ResponseWriter, _ *http.Request) {
	h := health{OK: true}
	if err := s.cfg.Alive(); err != nil {
		h = health{Reasons: []string{"journal: " + err.Error()}}
	}
	h.write(w)
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	s.ready(s.cfg.Balance.Totals()).write(w)
}

// ready: can a message that comes now be taken, and go out?
func (s *Server) ready(a bridge.Totals) health {
	var why []string
	if err := s.cfg.Alive(); err != nil {
		why = append(why, "journal: "+err.Error())
	}
	switch {
	case a.WriteErr != "":
		why = append(why, "journal: "+a.WriteErr)
	case a.Crowded:
		why = append(why, "journal: full (CHATRELAY_STORE_MAX_PENDING), nothing is taken until messages have gone out")
	case a.Full:
		why = append(why, "journal: full (CHATRELAY_STORE_MAX_BYTES), nothing is taken until messages have gone out")
	}
	for _, side := range s.cfg.Sides {
		if up, reason := side.Up(); !up {
			why = append(why, side.ID().String()+": "+reason)
		}
	}
	return health{OK: len(why) == 0, Reasons: why, Warnings: s.warnings()}
}

func (h health) write(w http.ResponseWriter) {
	code := http.StatusOK
	if !h.OK {
		code = http.StatusServiceUnavailable
	}
	answer(w, code, h)
}
