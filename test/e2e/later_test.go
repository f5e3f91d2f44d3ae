package e2e

import (
	"fmt"
	"strings"
	"testing"

	"chatrelay/test/e2e/clients"
	"chatrelay/test/servers"
	"chatrelay/test/stage"
)

// A message that was taken, and failed later, comes back as a stanza error: its sender may have no inbox, or the
// notice may fail as the message did. Here the broker hangs up over what is longer than it takes.
func TestLaterFailure(t *testing.T) {
	for _, x := range stage.XMPPServers() {
		t.Run(x.Name, func(t *testing.T) {
			t.Parallel()
			c := newChat(t, stage.Plan{Start: x.Start, Broker: servers.MosquittoConfig{Extra: "max_packet_size 3000"},
				Env: map[string]string{"NOTICES": "sent"}}) // a failed notice is as long as the message
			send := func(to, id string, e stage.Envelope) {
				t.Helper()
				raw := fmt.Sprintf("<message to='%s' type='chat' id='%s'><body>%s</body></message>", to, id, clients.Escape(e.String()))
				if err := c.Person(e.From).X.Raw(raw); err != nil {
					t.Fatal(err)
				}
			}
			failed := func(who, id string) {
				t.Helper()
				got := c.h.want(t, "an error about "+id, 2*stage.WaitLimit, func(e event) bool {
					return e.side == "xmpp" && e.inbox == who && e.st.Type == "error" && e.st.ID == id
				}).st
				if !strings.HasPrefix(got.From, c.Receiver()) || got.Condition == "" || got.Text == "" || got.HasBody {
					t.Errorf("error %+v", got)
				}
			}
			message := stage.Direct("1001", "1002", strings.Repeat("x", 5000))
			for _, id := range []string{"first", "retry"} {
				send(c.Receiver(), id, message)
				failed("1001", id)
			}
			c.back(t)
			c.end(t)
		})
	}
}
