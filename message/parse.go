package message

import "strconv"

// Parse reads and checks a body. On a refusal the error is a *Refusal, and From is set all the same when the
// body is a sound JSON object and its from is a good landline (so that its sender can be told).
//
// A notice is recognised before its fields are judged: it may have been made of an envelope that was refused,
// and must not be refused, and answered, again.
func Parse(body []byte, r *Rules) (Envelope, error) {
	if r.MaxBytes > 0 && len(body) > r.MaxBytes {
		return Envelope{}, refuse(TooLarge, "the message is larger than "+strconv.Itoa(r.MaxBytes)+" bytes")
	}
	var k known
	if why := k.read(body); why != nil {
		return Envelope{}, why
	}
	var e Envelope
	why := e.fill(&k, r)
	if k.isNotice() {
		e.Notice = true
		return e, nil
	}
	if twice := k.repeated(); twice != nil {
		why = twice
	}
	if why != nil {
		return Envelope{From: e.From}, why
	}
	return e, nil
}

// read goes through the whole body: whatever it finds of fields, an unsound body is refused as such.
func (k *known) read(body []byte) *Refusal {
	r := new(reader)
	if why := r.open(body); why != nil {
		return why
	}
	var m member
	for {
		more, why := r.next(&m)
		if !more {
			return why
		}
		k.add(m.name, body[m.start:m.end:m.end])
	}
}

// fill reads the fields into e. From comes first, so that it is there whatever else is wrong; a from that is
// given twice says nothing about who sent it.
func (e *Envelope) fill(k *known, r *Rules) *Refusal {
	w := k.words()
	if from := &w[wFrom]; !from.ok || k.twice[fFrom] || !r.landline(from.text) {
		return refuse(BadFrom, "\"from\" is missing or is not a landline")
	}
	e.From = w[wFrom].text
	if to := &w[wTo]; !to.ok || to.text != "" && !r.landline(to.text) {
		return refuse(BadTo, "\"to\" is not a landline")
	}
	e.To = w[wTo].text
	if why := e.fillGroup(k, &w); why != nil {
		return why
	}
	if !e.Group() && e.To == "" && k.raw[fTo] != nil {
		return refuse(BadTo, "\"to\" is empty: only a group message may have it so")
	}
	if !w[wID].ok {
		return refuse(BadID, "\"id\" and \"msgId\" must be integers or strings of 1 to 255 bytes")
	}
	e.ID = w[wID].text
	if raw := k.raw[fTimeStamp]; raw != nil {
		if e.Time, e.subMS, e.HasTime = clock(raw); !e.HasTime {
			return refuse(BadTime, "\"timeStamp\" is not a time in seconds or milliseconds since 1970")
		}
	}
	return e.fillContent(k)
}

func (e *Envelope) fillGroup(k *known, w *words) *Refusal {
	if raw := k.raw[fChatType]; raw != nil {
		var ok bool
		if e.ChatType, ok = integer(raw); !ok {
			return refuse(BadChatType, "\"chatType\" is not an integer")
		}
	}
	if !w[wGroupJID].ok {
		return refuse(BadGroup, "\"groupJid\" is not a string")
	}
	if !w[wGroupName].ok {
		return refuse(BadGroup, "\"groupName\" is not a string")
	}
	e.GroupJID, e.GroupName = w[wGroupJID].text, w[wGroupName].text
	if e.ChatType == 2 && e.GroupJID == "" {
		return refuse(BadGroup, "\"chatType\" says group message, but \"groupJid\" is missing or empty")
	}
	return nil
}

func (e *Envelope) fillContent(k *known) *Refusal {
	var room [512]byte // most contents are short: one allocation, for the string
	if !isString(k.raw[fContent]) {
		return refuse(BadContent, "\"content\" is missing or is not a string")
	}
	e.Content = string(decode(room[:0], k.raw[fContent]))
	if raw := k.raw[fContentType]; raw != nil && !null(raw) {
		var ok bool
		if e.ContentType, ok = integer(raw); !ok {
			return refuse(BadContentType, "\"contentType\" is not an integer")
		}
	}
	if !stringOrNull(k.raw[fName]) {
		return refuse(BadName, "\"name\" is not a string")
	}
	if !stringOrNull(k.raw[fPhoto]) {
		return refuse(BadPhoto, "\"photo\" is not a string")
	}
	return nil
}
