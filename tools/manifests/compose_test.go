package manifests

import (
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

func project(t *testing.T, environ ...string) (*types.Project, error) {
	t.Helper()
	o, err := cli.NewProjectOptions([]string{"../../deploy/compose/compose.yaml"}, cli.WithEnv(environ), cli.WithInterpolation(true), cli.WithNormalization(true))
	if err != nil {
		t.Fatal(err)
	}
	return o.LoadProject(t.Context())
}

// TestCompose: compose takes it, tells who has forgotten the domain, and everything that is named is there.
func TestCompose(t *testing.T) {
	if _, err := project(t); err == nil || !strings.Contains(err.Error(), "copy example.env to .env") {
		t.Errorf("without a domain: %v", err)
	}
	p, err := project(t, "DOMAIN=chat.example.org")
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range p.Services {
		for _, v := range s.Volumes {
			if _, ok := p.Volumes[v.Source]; !ok || v.Type != types.VolumeTypeVolume {
				t.Errorf("%s mounts %q, which is no volume of this file", name, v.Source)
			}
		}
		for other, need := range s.DependsOn {
			if p.Services[other].Restart == "no" != (need.Condition == types.ServiceConditionCompletedSuccessfully) {
				t.Errorf("%s waits for %s: %s", name, other, need.Condition)
			}
		}
		if _, ok := s.DependsOn["setup"]; !ok && name != "setup" {
			t.Errorf("%s starts before it is set up", name)
		}
	}
	relay := p.Services["chatrelay"]
	if jid := relay.Environment["CHATRELAY_XMPP_JID"]; jid == nil || *jid != "receiver@chat.example.org" || relay.MemLimit != 256<<20 {
		t.Errorf("%v, %d", jid, relay.MemLimit)
	}
	var open []string
	for _, s := range p.Services {
		for _, port := range s.Ports {
			open = append(open, port.HostIP+":"+port.Published)
		}
	}
	slices.Sort(open)
	if want := []string{"127.0.0.1:8080", ":5222", ":8883"}; !slices.Equal(open, want) {
		t.Errorf("open to the world: %q, want %q", open, want)
	}
}
