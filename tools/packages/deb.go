package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
)

const (
	unitFile     = "/usr/lib/systemd/system/chatrelay.service"
	settingsFile = "/etc/chatrelay/chatrelay.env"
	description  = `relay between MQTT inboxes and XMPP accounts
One chat over two networks: messages travel between the inboxes of an MQTT
broker and the accounts and rooms of an XMPP server, once each and in order.
What the relay has acknowledged is in a journal on disk.
`
)

// writeDeb makes the Debian package of a program.
func writeDeb(root, out string, p *program, texts []text) (err error) {
	dir, err := os.MkdirTemp("", "chatrelay-deb-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	contents, err := debContents(root, dir, p, texts)
	if err != nil {
		return err
	}
	scripts := func(name string) string { return filepath.Join(root, "deploy/debian", name) }
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: "chatrelay", Arch: p.arch, Platform: "linux", Version: p.release.debian(), VersionSchema: "none",
		Section: "net", Priority: "optional", Maintainer: "The chatrelay authors <chatrelay@project.invalid>",
		Description: description, License: "Apache-2.0", MTime: p.release.time,
		Overridables: nfpm.Overridables{
			Depends: []string{"adduser"}, Recommends: []string{"ca-certificates"}, Suggests: []string{"mosquitto", "prosody | ejabberd"},
			Contents: contents,
			Scripts:  nfpm.Scripts{PostInstall: scripts("postinst"), PreRemove: scripts("prerm"), PostRemove: scripts("postrm")},
			Deb:      nfpm.Deb{Compression: "gzip"},
		},
	})
	var b bytes.Buffer
	if err := deb.Default.Package(info, &b); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "chatrelay_"+p.release.debian()+"_"+p.arch+".deb"), b.Bytes(), 0o644)
}

// debContents lists what is installed; what is in no file yet is put into dir.
func debContents(root, dir string, p *program, texts []text) (files.Contents, error) {
	settings, err := serviceSettings(root)
	if err != nil {
		return nil, err
	}
	var out files.Contents
	add := func(source, name, kind string, mode os.FileMode) {
		out = append(out, &files.Content{Source: source, Destination: name, Type: kind,
			FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: p.release.time}})
	}
	texts = append(slices.Clone(texts), text{settingsFile, settings})
	for _, t := range texts {
		source := filepath.Join(dir, strings.ReplaceAll(t.name, "/", "_"))
		if err := os.WriteFile(source, t.body, 0o600); err != nil {
			return nil, err
		}
		if t.name == settingsFile {
			add(source, t.name, files.TypeConfigNoReplace, 0o600)
			continue
		}
		add(source, t.name, files.TypeFile, 0o644)
	}
	add("", filepath.Dir(settingsFile), files.TypeDir, 0o755)
	add(p.file, "/usr/bin/chatrelay", files.TypeFile, 0o755)
	add(filepath.Join(root, "deploy/debian/chatrelay.service"), unitFile, files.TypeFile, 0o644)
	add(filepath.Join(root, "deploy/debian/copyright"), "/usr/share/doc/chatrelay/copyright", files.TypeFile, 0o644)
	names, err := documents(root)
	for _, name := range names {
		add(filepath.Join(root, name), "/usr/share/doc/chatrelay/"+name, files.TypeFile, 0o644)
	}
	return out, err
}

// documents are what people read, and what that leads to: dashboard, alerts, manifests.
func documents(root string) ([]string, error) {
	names := []string{"README.md", "README.zh-CN.md", "CHANGELOG.md", "LICENSE", "example.env"}
	for _, top := range []string{"docs", "deploy"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) == ".go" {
				return err
			}
			name, err := filepath.Rel(root, path)
			if !strings.HasPrefix(name, "deploy/debian/") {
				names = append(names, name)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return names, nil
}

const serviceHead = `# Settings of the service chatrelay.service. Only root can read them here. After a change: systemctl restart chatrelay
# Files that they name (tables, certificates, passwords) the user chatrelay must be able to read.

`

// serviceSettings is example.env as the service needs it.
func serviceSettings(root string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(root, "example.env"))
	if err != nil {
		return nil, err
	}
	const theirs, ours = "# CHATRELAY_STORE=./data\n", "# CHATRELAY_STORE=/var/lib/chatrelay\n"
	if bytes.Count(b, []byte(theirs)) != 1 {
		return nil, errors.New("example.env does not say where the journal is by default")
	}
	return append([]byte(serviceHead), bytes.Replace(b, []byte(theirs), []byte(ours), 1)...), nil
}
