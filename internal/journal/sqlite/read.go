package sqlite

import "context"

// read is the connection for reading beside the writer. In memory there is only one.
func (t *Tables) read() execer {
	if t.reader != nil {
		return t.reader.bodies
	}
	return t.conn
}

// lists is the connection for people who look.
func (t *Tables) lists() execer {
	if t.reader != nil {
		return t.reader.lists
	}
	return t.conn
}

// reading is the context to read with: the writer's connection, which memory shares, is never cancelled.
func (t *Tables) reading(ctx context.Context) context.Context {
	if t.reader != nil {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

// Body is the body of a message.
func (t *Tables) Body(ctx context.Context, msg uint64) (body []byte, err error) {
	err = t.read().QueryRowContext(t.reading(ctx), "SELECT body FROM messages WHERE id = ?", int64(msg)).Scan(&body)
	return body, err
}
