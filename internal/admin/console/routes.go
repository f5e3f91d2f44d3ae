package console

import "net/http"

const root = "/console/"

func (c *Console) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+root+"{$}", c.index)
	mux.HandleFunc("GET "+root+"page/{file...}", c.file)
	mux.HandleFunc("POST "+root+"api/login", fromHere(c.login))
	mux.HandleFunc("POST "+root+"api/logout", fromHere(c.logout))
	mux.HandleFunc("GET "+root+"api/session", fromHere(c.session))
	mux.HandleFunc("GET "+root+"api/events", c.member(false, c.events))
	mux.HandleFunc("GET "+root+"api/settings", c.member(false, c.settings))
	mux.HandleFunc("GET "+root+"api/deliveries", c.member(false, c.deliveries))
	mux.HandleFunc("GET "+root+"api/trace", c.member(false, c.trace))
	mux.HandleFunc("GET "+root+"api/dead/count", c.member(false, c.countDead))
	mux.HandleFunc("POST "+root+"api/dead/requeue", c.member(true, c.change("requeue", c.cfg.Journal.Requeue, c.cfg.Journal.RequeueSome)))
	mux.HandleFunc("POST "+root+"api/dead/drop", c.member(true, c.change("drop", c.cfg.Journal.Drop, c.cfg.Journal.DropSome)))
	return c.guard(mux)
}

func (c *Console) settings(w http.ResponseWriter, _ *http.Request, _ Role) {
	answer(w, map[string]any{"settings": c.cfg.Settings()})
}
