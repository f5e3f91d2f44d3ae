package session

import (
	"fmt"
	"strconv"
)

// Codes by which a broker refuses, or ends a connection (MQTT 5, 2.4).
const (
	CodeUnspecified    = 0x80
	CodeMalformed      = 0x81
	CodeProtocol       = 0x82
	CodeOwnReasons     = 0x83
	CodeNoVersion      = 0x84
	CodeClientID       = 0x85
	CodeBadLogin       = 0x86
	CodeNotAuthorized  = 0x87
	CodeUnavailable    = 0x88
	CodeBusy           = 0x89
	CodeBanned         = 0x8a
	CodeShutdown       = 0x8b
	CodeBadMethod      = 0x8c
	CodeKeepAlive      = 0x8d
	CodeTakenOver      = 0x8e
	CodeBadTopic       = 0x90
	CodeIDInUse        = 0x91
	CodePacketTooLarge = 0x95
	CodeRateTooHigh    = 0x96
	CodeQuota          = 0x97
	CodeAdministrative = 0x98
	CodeBadPayload     = 0x99
	CodeNoRetain       = 0x9a
	CodeNoQoS          = 0x9b
	CodeOtherServer    = 0x9c
	CodeMoved          = 0x9d
	CodeRate           = 0x9f
	CodeConnectTime    = 0xa0
	CodeNoWildcards    = 0xa2
)

// NameOf is what MQTT 5 calls a code (2.4), with the code.
func NameOf(code byte) string {
	names := [...]string{
		"unspecified error", "malformed packet", "protocol error", "implementation specific error", "unsupported protocol version",
		"client identifier not valid", "bad user name or password", "not authorized", "server unavailable", "server busy", "banned",
		"server shutting down", "bad authentication method", "keep alive timeout", "session taken over", "topic filter invalid",
		"topic name invalid", "packet identifier in use", "packet identifier not found", "receive maximum exceeded",
		"topic alias invalid", "packet too large", "message rate too high", "quota exceeded", "administrative action",
		"payload format invalid", "retain not supported", "QoS not supported", "use another server", "server moved",
		"shared subscriptions not supported", "connection rate exceeded", "maximum connect time",
		"subscription identifiers not supported", "wildcard subscriptions not supported",
	}
	if n := int(code) - CodeUnspecified; n >= 0 && n < len(names) {
		return fmt.Sprintf("%s (%#x)", names[n], code)
	}
	return fmt.Sprintf("code %#x", code)
}

// Refused: the broker has answered CONNECT, and refuses it.
type Refused struct {
	Level  Level // that was asked for
	Code   byte
	Reason string // what the broker says to it, by MQTT 5
}

func (r Refused) Error() string { return "the broker refuses the login: " + r.Meaning() }

// Meaning is what the broker has against it.
func (r Refused) Meaning() string { return NameOf(r.Code) + because(r.Reason) }

// Ended: the broker has ended the connection: by DISCONNECT (MQTT 5, 3.14), or by an answer after which it cannot go on.
type Ended struct {
	Code   byte
	Reason string
}

func (e Ended) Error() string {
	return "the broker ends the connection: " + NameOf(e.Code) + because(e.Reason)
}

// because is what a broker says, as far as a person can read it.
func because(reason string) string {
	if reason == "" {
		return ""
	}
	if len(reason) > 200 {
		reason = reason[:200]
	}
	return ", it says " + strconv.Quote(reason)
}
