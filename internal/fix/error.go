package fix

// Kind is what is wrong, where the type of an error does not tell.
type Kind uint8

// The kinds that a side finds out.
const (
	_           Kind = iota
	BadLogin         // user or password
	BadClientID      // the broker does not want it
	BadSecret        // of a component
	BadScram         // a challenge that is broken, or hostile
	HostUnknown      // the server does not serve the domain
	NoComponent      // the server has no component of that name
	NoMechanism      // no way to log in that both know
	NoQoS            // the broker confirms nothing
	NoPassword       // its file cannot be read, or it is empty
	NoTLS            // the server does not offer it
	NoWebsocket      // the web server does not answer as one
	PlainOnly        // without TLS the server wants the password as it is
	TLSDemanded      // the server takes no login without it
	Taken            // another connection is the component
	Unavailable      // the far end says that it cannot, for now
)

// Error is an error of a known kind. Its text is Err's.
type Error struct {
	Kind Kind
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap is for errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// Speaks: the far end speaks another protocol than the one that was expected.
type Speaks struct{ Protocol Protocol }

func (e *Speaks) Error() string { return "the far end speaks " + string(e.Protocol) }

// Silent: the far end closed the connection before it had said anything.
type Silent struct {
	Addr     string // of the far end
	Expected Protocol
	Err      error
}

func (e *Silent) Error() string { return "the far end closes the connection without an answer" }

// Unwrap is for errors.Is and errors.As.
func (e *Silent) Unwrap() error { return e.Err }
