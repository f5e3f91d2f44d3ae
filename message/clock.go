package message

import "math"

// A timeStamp below 10^11 counts seconds (until the year 5138), from there on milliseconds (since March 1973):
// clocks of today are a factor of ten away from it on either side, however wrong they go.
const secondsDigits = 11

// clock reads a timeStamp: a number, or a string that would be a JSON number, in seconds or milliseconds. The
// result is the floor in ms and the rest in picoseconds; finer digits are cut. Exact: no float is involved.
func clock(raw []byte) (ms int64, sub uint32, ok bool) {
	var room [64]byte
	if isString(raw) {
		raw = decode(room[:0], raw)
	}
	d, ok := parseDecimal(raw)
	if !ok {
		return 0, 0, false
	}
	if d.point <= secondsDigits {
		d.point += 3
	}
	return d.fixed()
}

// decimal is 0.d₀d₁d₂… × 10^point, d₀ not 0. Of the digits only those that can matter are kept.
type decimal struct {
	negative bool
	digits   [32]byte // values, not characters
	n        int      // how many
	point    int64
}

// parseDecimal reads RFC 8259 §6. Its cost is linear however long the number is.
func parseDecimal(s []byte) (d decimal, ok bool) {
	if len(s) > 0 && s[0] == '-' {
		d.negative, s = true, s[1:]
	}
	whole := run(s)
	if whole == 0 || whole > 1 && s[0] == '0' {
		return d, false
	}
	for _, c := range s[:whole] {
		d.add(c-'0', true)
	}
	s = s[whole:]
	if len(s) > 0 && s[0] == '.' {
		part := run(s[1:])
		if part == 0 {
			return d, false
		}
		for _, c := range s[1 : 1+part] {
			d.add(c-'0', false)
		}
		s = s[1+part:]
	}
	exp, ok := exponent(s)
	d.point += exp
	if d.n == 0 {
		d.point, d.negative = 0, false // zero has no size and no sign
	}
	return d, ok
}

// add appends a digit of the part before the point (whole) or after it.
func (d *decimal) add(v byte, whole bool) {
	switch {
	case d.n > 0 && whole:
		d.point++
	case d.n == 0 && v != 0 && whole:
		d.point = 1
	case d.n == 0 && v == 0 && !whole:
		d.point--
	}
	if (d.n > 0 || v != 0) && d.n < len(d.digits) {
		d.digits[d.n] = v
		d.n++
	}
}

// exponent reads what may stand after a number's digits. It stops counting where no body is long enough to
// make up for it.
func exponent(s []byte) (exp int64, ok bool) {
	if len(s) == 0 {
		return 0, true
	}
	if s[0]|0x20 != 'e' {
		return 0, false
	}
	s = s[1:]
	negative := len(s) > 0 && s[0] == '-'
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		s = s[1:]
	}
	if !digits(s) {
		return 0, false
	}
	for _, c := range s {
		exp = min(exp*10+int64(c-'0'), 1<<40)
	}
	if negative {
		exp = -exp
	}
	return exp, true
}

// fixed is the number's floor, and 10^9 times what is above the floor.
func (d *decimal) fixed() (whole int64, sub uint32, ok bool) {
	if d.point > 19 {
		return 0, 0, false
	}
	var u uint64
	for i := int64(0); i < d.point; i++ {
		u = u*10 + uint64(d.at(i)) // 19 digits always fit
	}
	for i := d.point; i < d.point+9; i++ {
		sub = sub*10 + uint32(d.at(i))
	}
	switch {
	case !d.negative:
		return int64(u), sub, u <= math.MaxInt64
	case sub > 0:
		return -int64(u) - 1, 1e9 - sub, u <= math.MaxInt64
	}
	return -int64(u), 0, u <= 1<<63
}

func (d *decimal) at(i int64) byte {
	if i < 0 || i >= int64(d.n) {
		return 0
	}
	return d.digits[i]
}

// run is how many digits s starts with.
func run(s []byte) int {
	n := 0
	for n < len(s) && digit(s[n]) {
		n++
	}
	return n
}
