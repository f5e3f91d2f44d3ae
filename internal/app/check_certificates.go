package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"chatrelay/bridge"
)

// leastValid is how long a certificate should be good; the alert of deploy/prometheus has the same.
const leastValid = 14 * 24 * time.Hour

// checkCertificates says how many days are left of each chain that was seen.
func checkCertificates(ends map[string]time.Time, now time.Time) (out []bridge.Step) {
	for _, name := range slices.Sorted(maps.Keys(ends)) {
		end := ends[name]
		s := bridge.Step{Name: "certificate of " + name, OK: true}
		left := end.Sub(now)
		s.Note = fmt.Sprintf("%d days left, until %s", int(left.Hours()/24), end.UTC().Format(time.DateOnly))
		if left < leastValid {
			s.OK, s.Fix = false, renewalOf(name)
		}
		out = append(out, s)
	}
	return out
}

func renewalOf(name string) string {
	switch side, _, _ := strings.Cut(name, " "); side {
	case ownCertificate:
		return "renew the certificate in CHATRELAY_MQTT_CERT_FILE"
	case "mqtt":
		return "renew the certificate of the broker in CHATRELAY_MQTT_URL, and those above it"
	}
	return "renew the certificate of the server of CHATRELAY_XMPP_JID, and those above it"
}
