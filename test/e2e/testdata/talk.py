"""An ordinary XMPP client, of slixmpp: it adds a contact, says something to it, and prints what it sees as JSON, one event a line.
What else it is to do is read from standard input: a JSON object a line."""
import asyncio
import json
import sys

import slixmpp

jid, password, host, port, contact, text = sys.argv[1:]


def saw(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)


class Talk(slixmpp.ClientXMPP):
    def __init__(self):
        super().__init__(jid, password)
        for plugin in ("xep_0030", "xep_0045", "xep_0054", "xep_0066", "xep_0184", "xep_0199", "xep_0308"):
            self.register_plugin(plugin)
        self.add_event_handler("session_start", self.begin)
        self.add_event_handler("presence_available", lambda p: saw("available", who=p["from"].bare))
        self.add_event_handler("presence_subscribed", lambda p: saw("subscribed", who=p["from"].bare))
        self.add_event_handler("groupchat_presence", lambda p: saw("occupant", nick=p["muc"]["nick"], jid=p["muc"]["jid"].bare, type=p["muc"]["type"]))
        self.add_event_handler("receipt_received", lambda m: saw("receipt", id=m["receipt"], who=m["from"].bare))
        self.add_event_handler("message", self.heard)
        self.add_event_handler("message_correction", lambda m: saw("correction", body=m["body"], of=m["replace"]["id"]))

    async def begin(self, _):
        self.send_presence()
        await self.get_roster()
        self.send_presence_subscription(pto=contact)
        card = await self["xep_0054"].get_vcard(jid=contact)
        saw("vcard", name=card["vcard_temp"]["FN"])
        self.say({"id": "slix-1", "text": text, "receipt": True})
        orders = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        async for line in orders:
            order = json.loads(line)
            if "room" in order:
                self["xep_0045"].join_muc(order["room"], order["nick"])
            else:
                self.say(order)

    def say(self, order):
        said = self.make_message(mto=contact, mbody=order["text"], mtype="chat")
        said["id"] = order["id"]
        if order.get("receipt"):
            said["request_receipt"] = True
        if "of" in order:
            said["replace"]["id"] = order["of"]
        if "file" in order:
            said["oob"]["url"] = order["file"]
        said.send()

    def heard(self, m):
        nick = m["mucnick"] if m["type"] == "groupchat" else ""
        saw("message", type=m["type"], body=m["body"], id=m["id"], who=m["from"].bare, nick=nick, file=m["oob"]["url"])


client = Talk()
client.connect((host, int(port)), disable_starttls=True)
client.process(forever=True)
