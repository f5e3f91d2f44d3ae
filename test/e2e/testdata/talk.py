"""An ordinary XMPP client, of slixmpp: it adds a contact, says something to it, and prints what it sees as JSON, one event a line."""
import json
import sys

import slixmpp

jid, password, host, port, contact, text = sys.argv[1:]


def saw(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)


class Talk(slixmpp.ClientXMPP):
    def __init__(self):
        super().__init__(jid, password)
        for plugin in ("xep_0030", "xep_0054", "xep_0184", "xep_0199", "xep_0308"):
            self.register_plugin(plugin)
        self.add_event_handler("session_start", self.begin)
        self.add_event_handler("presence_available", lambda p: saw("available", who=p["from"].bare))
        self.add_event_handler("presence_subscribed", lambda p: saw("subscribed", who=p["from"].bare))
        self.add_event_handler("receipt_received", lambda m: saw("receipt", id=m["receipt"], who=m["from"].bare))
        self.add_event_handler("message", self.heard)
        self.add_event_handler("message_correction", lambda m: saw("correction", body=m["body"], of=m["replace"]["id"]))

    async def begin(self, _):
        self.send_presence()
        await self.get_roster()
        self.send_presence_subscription(pto=contact)
        card = await self["xep_0054"].get_vcard(jid=contact)
        saw("vcard", name=card["vcard_temp"]["FN"])
        said = self.make_message(mto=contact, mbody=text, mtype="chat")
        said["id"] = "slix-1"
        said["request_receipt"] = True
        said.send()

    def heard(self, m):
        saw("message", type=m["type"], body=m["body"], id=m["id"], who=m["from"].bare)


client = Talk()
client.connect((host, int(port)), disable_starttls=True)
client.process(forever=True)
