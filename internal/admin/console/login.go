package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"math"
	"net"
	"net/http"
	"strconv"
)

var errNoToken = errors.New("a token cannot be read (CHATRELAY_CONSOLE_TOKEN_FILE, CHATRELAY_CONSOLE_READ_TOKEN_FILE)")

// leastToken is how long a token is at least: a shorter one is a file that is being written.
const leastToken = 16

// tokens are the hashes of the tokens in force; one that cannot be read takes away its own role alone.
func (c *Console) tokens() (out map[Role][32]byte, err error) {
	out = map[Role][32]byte{}
	for role, read := range map[Role]func() (string, error){Operator: c.cfg.Token, Reader: c.cfg.ReadToken} {
		if read == nil {
			continue
		}
		text, bad := read()
		if bad != nil || len(text) < leastToken {
			err = errors.Join(errNoToken, bad)
			continue
		}
		out[role] = sha256.Sum256([]byte(text))
	}
	return out, err
}

// roleOf compares hashes, all of them in any case, so that neither content nor length of a token shows in the time it takes.
func roleOf(token string, in map[Role][32]byte) (role Role, hash [32]byte) {
	hash = sha256.Sum256([]byte(token))
	for _, one := range []Role{Reader, Operator} {
		want, ok := in[one]
		if subtle.ConstantTimeCompare(hash[:], want[:]) == 1 && ok {
			role = one
		}
	}
	return role, hash
}

// login changes a token for a session.
func (c *Console) login(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Token string `json:"token"`
	}
	if !read(w, r, &body) {
		return
	}
	who, now := originOf(r), c.cfg.Clock()
	if wait := c.attempts.take(who, now); wait > 0 {
		c.refuse(r, "too many attempts")
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		fail(w, http.StatusTooManyRequests, "too_many", "too many attempts")
		return
	}
	tokens, err := c.tokens()
	role, hash := roleOf(body.Token, tokens)
	if role == "" && err != nil {
		c.refuse(r, err.Error())
		fail(w, http.StatusServiceUnavailable, "no_token", errNoToken.Error())
		return
	}
	if role == "" {
		c.refuse(r, "wrong token")
		fail(w, http.StatusUnauthorized, "wrong_token", "this is no token of the console")
		return
	}
	c.attempts.giveBack(who)
	if old, err := r.Cookie(cookieName(r)); err == nil {
		c.sessions.end(old.Value)
	}
	setCookie(w, r, c.sessions.open(role, hash, now), int(sessionLife.Seconds()))
	c.cfg.Log.Info().Stringer("peer", peer(r)).Str("role", string(role)).Msg("somebody has logged in to the console")
	answer(w, map[string]any{"role": role})
}

// refuse logs a login that failed, when such begin and then once a minute.
func (c *Console) refuse(r *http.Request, cause string) {
	c.mu.Lock()
	n := c.refused.Add(cause, c.cfg.Clock())
	c.mu.Unlock()
	if n > 0 {
		c.cfg.Log.Warn().Stringer("peer", peer(r)).Str("cause", cause).Int64("attempts", n).Msg("logins to the console were refused")
	}
}

func (c *Console) logout(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(cookieName(r)); err == nil {
		c.sessions.end(cookie.Value)
	}
	setCookie(w, r, "", -1)
	answer(w, map[string]any{})
}

// who is the session that a request belongs to, and its id.
func (c *Console) who(r *http.Request) (Role, string, error) {
	cookie, err := r.Cookie(cookieName(r))
	if err != nil {
		return "", "", nil
	}
	s, ok := c.sessions.find(cookie.Value, c.cfg.Clock())
	if !ok {
		return "", "", nil
	}
	tokens, err := c.tokens()
	now, ok := tokens[s.role]
	if !ok && err != nil {
		return "", "", err
	}
	if !ok || subtle.ConstantTimeCompare(now[:], s.token[:]) != 1 {
		c.sessions.end(cookie.Value) // the token is another one now
		return "", "", nil
	}
	return s.role, cookie.Value, nil
}

// member wraps what needs a session, and a role that may change things if it does.
func (c *Console) member(changes bool, next func(http.ResponseWriter, *http.Request, Role)) http.HandlerFunc {
	return fromHere(func(w http.ResponseWriter, r *http.Request) {
		role, _, err := c.who(r)
		switch {
		case err != nil:
			fail(w, http.StatusServiceUnavailable, "no_token", errNoToken.Error())
		case role == "":
			fail(w, http.StatusUnauthorized, "no_session", "log in first")
		case changes && role != Operator:
			fail(w, http.StatusForbidden, "read_only", "this token may look and change nothing")
		default:
			next(w, r, role)
		}
	})
}

// session tells the page whether it has to ask for a token (no role: it has), and whether there is a stream of events left for it.
func (c *Console) session(w http.ResponseWriter, r *http.Request) {
	role, id, err := c.who(r)
	if err != nil {
		fail(w, http.StatusServiceUnavailable, "no_token", errNoToken.Error())
		return
	}
	answer(w, map[string]any{"role": role, "full": role != "" && c.streams.full(id, role)})
}

// cookieName differs by port: cookies do not, and several relays may be open on one machine.
func cookieName(r *http.Request) string {
	_, port, err := net.SplitHostPort(r.Host)
	if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
		port = "0"
	}
	return "chatrelay_console_" + port
}

// setCookie: no script reads it (HttpOnly), and no other site's page makes a browser send it (SameSite=Strict). It is
// Secure where a proxy says that the browser came by HTTPS; who lies about that only harms their own login.
func setCookie(w http.ResponseWriter, r *http.Request, value string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName(r), Value: value, Path: "/console/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	})
}
