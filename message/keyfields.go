package message

import "time"

// Key fields say which message is meant, and nothing of what is in it: from, to, groupJid, chatType, id (or what
// msgId says) and timeStamp. Where nobody vouches for the sender a notice holds no more: else whoever may write to
// one inbox could have the relay write any text into another. For the same reason a field that is not of its form,
// is given twice, or is long is left out.

// KeyNotice makes the notice of a body whose sender nobody vouches for: its key fields, status, reason (left out when
// empty) and statusTime (ms). It takes any body. The same arguments always make the same bytes.
func KeyNotice(body []byte, status, reason string, at time.Time) []byte {
	return object(append(keyFields(body, nil, nil), outcome(status, reason, at)...))
}

// KeyFields makes a body of the key fields alone, of one that may have been refused: its landlines are held against
// the rules, and its groupJid must be one that is served.
func KeyFields(body []byte, r *Rules, served func(groupJID string) bool) []byte {
	return object(keyFields(body, r, served))
}

// maxKeyField is the length of the longest key field, as it is written.
const maxKeyField = 2048

// keyFields finds them. r nil: any landline will do; served nil: any group.
func keyFields(body []byte, r *Rules, served func(string) bool) (found []change) {
	var k known
	if why := k.read(body); why != nil {
		return nil
	}
	add := func(as string, f field, ok bool) {
		if raw := k.raw[f]; ok && raw != nil && !k.twice[f] && len(raw) <= maxKeyField {
			found = append(found, change{as, raw})
		}
	}
	landline := func(f field) bool {
		text, ok := party(k.raw[f])
		return ok && len(text) > 0 && len(text) <= maxID && (r == nil || r.landline(string(text)))
	}
	add("from", fFrom, landline(fFrom))
	add("to", fTo, landline(fTo))
	room, isText := text(k.raw[fGroupJID])
	add("groupJid", fGroupJID, isText && len(room) > 0 && len(room) <= maxID && (served == nil || served(string(room))))
	_, isNumber := integer(k.raw[fChatType])
	add("chatType", fChatType, isNumber)
	id := fID
	if k.raw[fID] == nil {
		id = fMsgID
	}
	_, isID := identifier(k.raw[id])
	add("id", id, isID)
	if raw := k.raw[fTimeStamp]; len(raw) <= maxID {
		_, _, isTime := clock(raw)
		add("timeStamp", fTimeStamp, isTime)
	}
	return found
}

// object writes members.
func object(members []change) []byte {
	out := make([]byte, 0, room(members)+len(`{}`))
	out = append(out, '{')
	for i, m := range members {
		out = appendMember(out, m, i == 0)
	}
	return append(out, '}')
}
