package app

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"chatrelay/configs"
)

const healthTimeout = 3 * time.Second

// Health asks the relay that runs with this environment whether it is alive.
func Health(p Process) error {
	if err := p.noArguments("health"); err != nil {
		return err
	}
	c, err := configs.Load(p.Environ)
	if err := configs.About(err, "HTTP_ADDR"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), healthTimeout)
	defer cancel()
	if _, err := ask(ctx, &c.HTTP, http.MethodGet, "/livez", ""); err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.Out, "alive")
	return err
}

const mostAnswer = 16 << 20

// ask sends a request to the running relay's page; an answer other than 200 is an error.
func ask(ctx context.Context, c *configs.HTTP, method, path, token string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+dialable(c.Addr)+path, nil)
	if err != nil {
		return nil, fmt.Errorf("ask the relay: %w", err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	// No proxy of the environment: the relay is on this machine, and the token is for nobody else.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the relay at CHATRELAY_HTTP_ADDR: %w", err)
	}
	defer res.Body.Close() // read only
	body, err := io.ReadAll(io.LimitReader(res.Body, mostAnswer))
	if err != nil {
		return nil, fmt.Errorf("ask the relay: read the answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the relay says %s: %s", res.Status, strings.Join(strings.Fields(string(body)), " "))
	}
	return body, nil
}

// dialable turns "all addresses" into this machine.
func dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "":
		host = "localhost"
	case err == nil && ip.IsUnspecified() && ip.Is4():
		host = "127.0.0.1"
	case err == nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}
