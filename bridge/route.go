package bridge

import "chatrelay/message"

// Route says which deliveries a message needs (DESIGN: "The job"). It is a pure function. origin is the side
// that the message came from and heard the room it was heard in, or empty; e.To is the inbox it is for.
func Route(origin SideID, heard string, e *message.Envelope, d *Directory) []Delivery {
	if origin == MQTT {
		if e.Group() {
			return []Delivery{newDelivery(XMPP, KindRoom, e.From, e.GroupJID)}
		}
		return []Delivery{newDelivery(XMPP, KindChat, e.From, e.To)}
	}
	if !e.Group() {
		return []Delivery{newDelivery(MQTT, KindInbox, e.From, e.To)}
	}
	deliveries := copies(e, d.Members(e.GroupJID))
	if heard == "" {
		// Posted for its sender, so that those who are in the room see it too.
		deliveries = append(deliveries, newDelivery(XMPP, KindRoom, e.From, e.GroupJID))
	}
	return deliveries
}

// copies are the inbox deliveries of a group message: every member but the sender, once each.
func copies(e *message.Envelope, members []string) []Delivery {
	deliveries := make([]Delivery, 0, len(members)+1)
	group := groupLane(e.From, e.GroupJID)
	seen := make(map[string]bool, len(members))
	for _, m := range members {
		if m == e.From || seen[m] {
			continue
		}
		seen[m] = true
		l := newDelivery(MQTT, KindCopy, e.From, m)
		l.Behind = group
		deliveries = append(deliveries, l)
	}
	return deliveries
}

// groupLane is where the copies of a group message wait while it is not known whether its sender may post: one lane
// for all of them, so that they hold up nothing but what the sender says in that group.
func groupLane(from, room string) string { return from + "\x00" + room }

// undecide marks the deliveries of a message of which that is not known.
func undecide(deliveries []Delivery, post *Post, from string) {
	for i := range deliveries {
		deliveries[i].Note.Post = post
		if deliveries[i].Kind == KindCopy {
			deliveries[i].Lane, deliveries[i].Behind = groupLane(from, post.Room), ""
		}
	}
}

func newDelivery(side SideID, kind Kind, from, to string) Delivery {
	return Delivery{Side: side, Kind: kind, To: to, Lane: from + "\x00" + to}
}
