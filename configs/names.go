package configs

import (
	"regexp"
	"slices"
	"strings"
)

// Kubernetes puts these into the environment of every pod for a Service named chatrelay or chatrelay-….
const (
	kubernetesName  = `^CHATRELAY_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`
	kubernetesPort  = `^CHATRELAY_([A-Z0-9_]+_)?PORT$`
	kubernetesValue = `^(tcp|udp|sctp)://` // MQTT_PORT=1883 is somebody's mistake, =tcp://10.0.0.1:1883 is not
)

// unknown reports the names that begin like ours and are none.
func unknown(environment map[string]string) (out Problems) {
	known := names()
	service, port, value := regexp.MustCompile(kubernetesName), regexp.MustCompile(kubernetesPort), regexp.MustCompile(kubernetesValue)
	for name, text := range environment {
		switch {
		case !strings.HasPrefix(name, Prefix), slices.Contains(known, name):
		case service.MatchString(name), port.MatchString(name) && value.MatchString(text):
		default:
			out = append(out, Problem{Variable: name, Wrong: "is no setting", Remedy: suggestion(name, known)})
		}
	}
	slices.SortFunc(out, func(a, b Problem) int { return strings.Compare(a.Variable, b.Variable) })
	return out
}

func suggestion(name string, known []string) string {
	best, least := "", len(name)
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return "remove it"
	}
	return "did you mean " + best + "?"
}

// distance is Levenshtein's: how many messages must be put in, taken out or changed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := corner
			if a[i] != b[j] {
				d = 1 + min(corner, row[j], row[j+1])
			}
			corner, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
