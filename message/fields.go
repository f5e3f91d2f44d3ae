package message

// field is a name that the relay reads.
type field uint8

const (
	fChatType field = iota
	fContent
	fFrom
	fTo
	fContentType
	fGroupJID
	fGroupName
	fTimeStamp
	fName
	fPhoto
	fID
	fMsgID
	fStatus
	fStatusTime
	fields // how many there are
)

// fieldOf finds a known field by its exact name: "From" is not "from".
func fieldOf(name []byte) (field, bool) {
	switch string(name) {
	case "chatType":
		return fChatType, true
	case "content":
		return fContent, true
	case "from":
		return fFrom, true
	case "to":
		return fTo, true
	case "contentType":
		return fContentType, true
	case "groupJid":
		return fGroupJID, true
	case "groupName":
		return fGroupName, true
	case "timeStamp":
		return fTimeStamp, true
	case "name":
		return fName, true
	case "photo":
		return fPhoto, true
	case "id":
		return fID, true
	case "msgId":
		return fMsgID, true
	case "status":
		return fStatus, true
	case "statusTime":
		return fStatusTime, true
	}
	return 0, false
}

func (f field) name() string {
	return [fields]string{"chatType", "content", "from", "to", "contentType", "groupJid", "groupName", "timeStamp",
		"name", "photo", "id", "msgId", "status", "statusTime"}[f]
}

// known holds the raw values of the known fields of one body. A name given twice keeps its first value and is
// marked; unknown names may repeat, they travel as they came and nobody here reads them.
type known struct {
	raw    [fields][]byte // nil: missing
	twice  [fields]bool
	notice bool // some status is one of a notice
	typing bool // some status is one of who is writing
}

func (k *known) add(name, value []byte) {
	f, ok := fieldOf(name)
	if !ok {
		return
	}
	// Each status of a body counts, not only the first: a notice made of a body which had the field twice is
	// a notice still. Were it read as a message it would be refused, and its refusal noticed, without end.
	if f == fStatus {
		k.notice, k.typing = k.notice || noticeStatus(value), k.typing || typingStatus(value)
	}
	if k.raw[f] != nil {
		k.twice[f] = true
		return
	}
	k.raw[f] = value
}

// repeated refuses a body in which a known name is given twice.
func (k *known) repeated() *Refusal {
	for f, twice := range k.twice {
		if twice {
			return refuse(DuplicateField, "\""+field(f).name()+"\" is given twice")
		}
	}
	return nil
}

// isNotice tells whether the body is a notice. One of who is writing has no content: with it, it is a message, whose status is an
// ordinary field.
func (k *known) isNotice() bool {
	return k.raw[fStatusTime] != nil && (k.notice || k.typing && k.raw[fContent] == nil)
}
