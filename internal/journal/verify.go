package journal

import (
	"context"
	"errors"
	"fmt"

	"chatrelay/bridge"
)

// Verify compares all that a journal has twice, beside a running relay or without one; and whether its sums add up.
func Verify(ctx context.Context, dir string) (*Verdict, error) {
	r, err := OpenReadOnly(dir)
	if err != nil {
		return nil, err
	}
	v, err := r.Verify(ctx)
	if err := errors.Join(err, r.Close()); err != nil {
		return v, err
	}
	if len(v.Wrong) > 0 {
		return v, nil
	}
	for _, side := range []bridge.SideID{bridge.MQTT, bridge.XMPP} {
		in, out := int64(0), v.Pending[side]
		for c, n := range v.Counts {
			switch {
			case c.Side != side:
			case c.Name == received:
				in += n
			case c.Name == delivered, c.Name == duplicate, c.Name == ignored, c.Name == refused, c.Name == died:
				out += n
			}
		}
		if in != out {
			v.Wrong = append(v.Wrong, fmt.Sprintf("of %v %d messages were received, and %d are accounted for, of which %d wait", side, in, out, v.Pending[side]))
		}
	}
	return v, nil
}
