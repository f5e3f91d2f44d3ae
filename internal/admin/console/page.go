package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed page
var files embed.FS

// asset is one file of the page.
type asset struct {
	content []byte
	kind    string
	tag     string // names this very content
}

const (
	index    = "index.html"
	language = `<html lang="en"`
)

func readPage() (map[string]asset, error) {
	out := map[string]asset{}
	err := fs.WalkDir(files, "page", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := files.ReadFile(name)
		out[strings.TrimPrefix(name, "page/")] = newAsset(b, kindOf(name))
		return err
	})
	if err == nil && !bytes.Contains(out[index].content, []byte(language)) {
		err = fmt.Errorf("%s has no %s", index, language)
	}
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	chinese := bytes.Replace(out[index].content, []byte(language), []byte(`<html lang="zh-CN"`), 1)
	out[index+".zh"] = newAsset(chinese, out[index].kind)
	return out, nil
}

func newAsset(content []byte, kind string) asset {
	sum := sha256.Sum256(content)
	return asset{content, kind, `"` + hex.EncodeToString(sum[:12]) + `"`}
}

// kindOf does not ask the machine's own table for what browsers are strict about.
func kindOf(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return mime.TypeByExtension(path.Ext(name))
}

// index is in the language that the browser likes best of the two; the page itself can be switched to the other.
func (c *Console) index(w http.ResponseWriter, r *http.Request) {
	name := index
	if prefersChinese(r.Header.Get("Accept-Language")) {
		name += ".zh"
	}
	w.Header().Set("Vary", "Accept-Language")
	c.page[name].serve(w, r)
}

func (c *Console) file(w http.ResponseWriter, r *http.Request) {
	a, ok := c.page[r.PathValue("file")]
	if !ok || strings.HasPrefix(r.PathValue("file"), index) {
		fail(w, http.StatusNotFound, "not_found", "there is no such file")
		return
	}
	a.serve(w, r)
}

// serve lets the browser keep the file, and ask each time whether it is still the same.
func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Etag", a.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.content))
}
