// Package message knows the JSON envelope and what makes two messages the same.
//
// It reads an envelope strictly (Parse), names it (Key), and changes single fields of a body while every other
// byte stays as it came (WithID, WithTo, WithNotice, XMLSafe). It never re-encodes a body, holds no state, and
// knows neither topics nor JIDs nor who may send what: those are the sides' and the bridge's to judge.
//
// encoding/json is not used: it folds the case of names, takes the last of two fields of one name and turns bad
// text into U+FFFD. Each of these lets somebody speak for another, or makes two messages look like one.
package message
