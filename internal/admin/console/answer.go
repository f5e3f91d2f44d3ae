package console

import (
	"encoding/json"
	"net/http"
)

func answer(w http.ResponseWriter, body any) { write(w, http.StatusOK, body) }

// fail answers with a word for the page, which knows it in the reader's language, and a sentence for anybody else.
func fail(w http.ResponseWriter, code int, word, text string) {
	write(w, code, map[string]string{"error": word, "text": text})
}

func write(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the client has gone
}

// mostBody is for some hundred numbers of dead letters.
const mostBody = 4 << 10

// read reads a request's body; false: it has been answered.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, mostBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		fail(w, http.StatusBadRequest, "bad_request", "the body is not what is read here")
		return false
	}
	return true
}
