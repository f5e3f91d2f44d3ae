package message

// The short texts of an envelope.
const (
	wFrom = iota
	wTo
	wGroupJID
	wGroupName
	wID
	nWords
)

// word is one short text; ok: it has the right type.
type word struct {
	text string
	ok   bool
}

type words [nWords]word

// sharedRoom is how many bytes of words may share a string: whoever keeps one of them keeps all.
const sharedRoom = 256

// words reads the short texts. Together they cost one allocation, unless they are not so short.
func (k *known) words() (w words) {
	var b [nWords][]byte
	b[wFrom], w[wFrom].ok = party(k.raw[fFrom])
	b[wTo], w[wTo].ok = party(k.raw[fTo])
	w[wTo].ok = w[wTo].ok || k.raw[fTo] == nil
	b[wGroupJID], w[wGroupJID].ok = textOrNull(k.raw[fGroupJID])
	b[wGroupName], w[wGroupName].ok = textOrNull(k.raw[fGroupName])
	b[wID], w[wID].ok = k.identity()

	var room [sharedRoom]byte
	shared := room[:0]
	for _, part := range b {
		if len(part) <= cap(shared)-len(shared) {
			shared = append(shared, part...)
		}
	}
	all, room0 := string(shared), sharedRoom
	for i, part := range b {
		if len(part) > room0 {
			w[i].text = string(part)
			continue
		}
		w[i].text, all, room0 = all[:len(part)], all[len(part):], room0-len(part)
	}
	return w
}

// identity is "id", else "msgId"; either must be of the right type if it is there.
func (k *known) identity() ([]byte, bool) {
	id, ok := identifier(k.raw[fID])
	other, okOther := identifier(k.raw[fMsgID])
	if id == nil {
		id = other
	}
	return id, ok && okOther
}
