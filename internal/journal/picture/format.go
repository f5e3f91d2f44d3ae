package picture

// Kinds of facts, as they are written. Never renumber, never reorder a fact's fields: a new one gets a new kind.
const (
	kindRules uint8 = iota + 1
	kindLease
	kindCounted
	kindStateSet
	kindTook
	kindAnswered
	kindLearned
	kindDelayed
	kindPutOff
	kindBound
	kindUnbound
	kindClosed
	kindBounced
	kindConfirmed
	kindUnconfirmed
	kindRecalled
	kindRequeued
	kindDropped
	kindRotated
	kindForgot
)

// newFact is an empty fact of a kind; nil: this program does not know it.
func newFact(kind uint8) Fact {
	switch kind {
	case kindRules:
		return &Rules{}
	case kindLease:
		return &Lease{}
	case kindCounted:
		return &Counted{}
	case kindStateSet:
		return &StateSet{}
	case kindTook:
		return &Took{}
	case kindAnswered:
		return &Answered{}
	case kindLearned:
		return &Learned{}
	case kindDelayed:
		return &Delayed{}
	case kindPutOff:
		return &PutOff{}
	case kindBound:
		return &Bound{}
	case kindUnbound:
		return &Unbound{}
	case kindClosed:
		return &Closed{}
	case kindBounced:
		return &Bounced{}
	case kindConfirmed:
		return &Confirmed{}
	case kindUnconfirmed:
		return &Unconfirmed{}
	case kindRecalled:
		return &Recalled{}
	case kindRequeued:
		return &Requeued{}
	case kindDropped:
		return &Dropped{}
	case kindRotated:
		return &Rotated{}
	case kindForgot:
		return &Forgot{}
	}
	return nil
}

func (*Rules) kind() uint8       { return kindRules }
func (*Lease) kind() uint8       { return kindLease }
func (*Counted) kind() uint8     { return kindCounted }
func (*StateSet) kind() uint8    { return kindStateSet }
func (*Took) kind() uint8        { return kindTook }
func (*Answered) kind() uint8    { return kindAnswered }
func (*Learned) kind() uint8     { return kindLearned }
func (*Delayed) kind() uint8     { return kindDelayed }
func (*PutOff) kind() uint8      { return kindPutOff }
func (*Bound) kind() uint8       { return kindBound }
func (*Unbound) kind() uint8     { return kindUnbound }
func (*Closed) kind() uint8      { return kindClosed }
func (*Bounced) kind() uint8     { return kindBounced }
func (*Confirmed) kind() uint8   { return kindConfirmed }
func (*Unconfirmed) kind() uint8 { return kindUnconfirmed }
func (*Recalled) kind() uint8    { return kindRecalled }
func (*Requeued) kind() uint8    { return kindRequeued }
func (*Dropped) kind() uint8     { return kindDropped }
func (*Rotated) kind() uint8     { return kindRotated }
func (*Forgot) kind() uint8      { return kindForgot }

func (f *Rules) code(c *codec) {
	c.bool(&f.Sent)
	c.bool(&f.Delayed)
	c.bool(&f.Failed)
}

func (f *Lease) code(c *codec) { c.uint(&f.Next) }

func (f *Counted) code(c *codec) {
	c.text(&f.Counter.Name)
	c.side(&f.Counter.Side)
	c.text(&f.Counter.Reason)
	c.int(&f.N)
}

func (f *StateSet) code(c *codec) {
	c.side(&f.Side)
	c.text(&f.Key)
	c.orNil(&f.Value)
}

func (f *Took) code(c *codec) {
	c.uint(&f.ID)
	c.side(&f.Origin)
	c.text(&f.From)
	c.text(&f.Reply)
	c.bool(&f.Receipt)
	c.int(&f.Expires)
	c.uint32(&f.Via)
	c.keys(&f.Keys)
	c.bytes(&f.Body)
	c.begins(&f.BodyAt, f.Body)
	c.deliveries(&f.Deliveries)
}

func (f *Answered) code(c *codec) {
	c.uint(&f.ID)
	c.side(&f.Origin)
	c.text(&f.From)
	c.bytes(&f.Body)
	c.begins(&f.BodyAt, f.Body)
	c.deliveries(&f.Deliveries)
}

func (f *Learned) code(c *codec) {
	c.uint(&f.Msg)
	c.side(&f.Origin)
	c.uint32(&f.Via)
	c.keys(&f.Keys)
}

func (f *Delayed) code(c *codec) { c.uint(&f.Msg) }

func (f *PutOff) code(c *codec) {
	c.ref(&f.Ref)
	c.uint32(&f.Attempts)
	c.int(&f.Waited)
	c.int(&f.Until)
	c.text(&f.Reason)
}

func (f *Bound) code(c *codec) {
	c.ref(&f.Ref)
	c.bytes(&f.Binding)
}

func (f *Unbound) code(c *codec) { c.ref(&f.Ref) }

func (f *Closed) code(c *codec) {
	c.ref(&f.Ref)
	c.refusal(&f.Why)
	c.uint(&f.Unproven)
	c.orNil(&f.Body)
	c.begins(&f.BodyAt, f.Body)
	c.bool(&f.CancelDelayed)
}

func (f *Bounced) code(c *codec) {
	c.ref(&f.Ref)
	if c.refusal(&f.Why); f.Why == nil {
		c.fail()
		return
	}
	c.bool(&f.CancelDelayed)
}

func (f *Confirmed) code(c *codec) {
	c.side(&f.Side)
	c.uint(&f.UpTo)
}

func (f *Unconfirmed) code(c *codec) {
	c.side(&f.Side)
	c.uint(&f.UpTo)
	c.number(&f.Longer)
	if c.refusal(&f.Why); f.Why == nil {
		c.fail()
	}
}

func (f *Recalled) code(c *codec) {
	c.uint(&f.ID)
	c.int(&f.At)
	c.int(&f.Ran)
	c.side(&f.Origin)
	c.text(&f.From)
	c.text(&f.Reply)
	c.bool(&f.Receipt)
	c.int(&f.Expires)
	c.uint32(&f.Size)
	c.uint16(&f.Copies)
	c.uint16(&f.Keys)
	c.uint16(&f.Base)
	c.uint16(&f.Dropped)
	c.bool(&f.Delayed)
	c.text(&f.Reason)
	n := c.length(len(f.Dead), 13)
	if c.reading {
		f.Dead = make([]DeadLetter, n)
	}
	for i := range f.Dead {
		f.Dead[i].code(c)
	}
}

func (d *DeadLetter) code(c *codec) {
	c.uint(&d.Seq)
	c.uint16(&d.Num)
	c.byte((*uint8)(&d.Kind))
	c.side(&d.Side)
	c.text(&d.To)
	c.text(&d.Lane)
	c.uint32(&d.Attempts)
	c.note(&d.Note)
}

func (f *Requeued) code(c *codec) {
	c.ref(&f.Ref)
	c.keys(&f.Keys)
}

func (f *Dropped) code(c *codec) { c.ref(&f.Ref) }

func (f *Rotated) code(c *codec) {
	c.number(&f.Drop)
	c.number(&f.Aged)
}

// Each number is written as how much more it is than the one before.
func (f *Forgot) code(c *codec) {
	n := c.length(len(f.Messages), 1)
	if c.reading {
		f.Messages = make([]uint64, n)
	}
	var before uint64
	for i := range f.Messages {
		more := int64(f.Messages[i] - before)
		c.int(&more)
		before += uint64(more)
		f.Messages[i] = before
	}
}
