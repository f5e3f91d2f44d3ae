package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// writeImages writes one archive in the OCI layout with the image for every architecture.
func writeImages(root, file string, all []*program) (err error) {
	s, err := lastStage(filepath.Join(root, "Dockerfile"))
	if err != nil {
		return err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range all {
		image, err := s.image(p)
		if err != nil {
			return fmt.Errorf("image for %s: %w", p.arch, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: p.arch}},
		})
	}
	dir, err := os.MkdirTemp("", "chatrelay-image-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	r := all[0].release
	version := strings.ReplaceAll(strings.TrimPrefix(r.version, "v"), "+", "-") // a tag has no plus
	if err := l.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": version, "org.opencontainers.image.version": r.version, "org.opencontainers.image.revision": r.revision,
		"io.containerd.image.name": "localhost/chatrelay:" + version,
	})); err != nil {
		return err
	}
	return archive(dir, file, all[0])
}

// image is the stage with a program in it.
func (s *stage) image(p *program) (v1.Image, error) {
	created := v1.Time{Time: p.release.time}
	image, err := mutate.ConfigFile(mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1),
		&v1.ConfigFile{OS: "linux", Architecture: p.arch, Created: created, Config: s.config, RootFS: v1.RootFS{Type: "layers"}})
	if err != nil {
		return nil, err
	}
	for _, step := range s.copies {
		content, err := step.layer(p)
		if err != nil {
			return nil, err
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
			tarball.WithMediaType(types.OCILayer))
		if err != nil {
			return nil, err
		}
		image, err = mutate.Append(image, mutate.Addendum{
			Layer: layer, MediaType: types.OCILayer, History: v1.History{Created: created, CreatedBy: step.line},
		})
		if err != nil {
			return nil, err
		}
	}
	return image, nil
}

// layer is what a COPY brings. The Dockerfile's other stage makes three things; here they are made without it.
func (c copyStep) layer(p *program) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	put := func(h tar.Header, body []byte) error {
		h.ModTime, h.Format, h.Size = p.release.time, tar.FormatPAX, int64(len(body))
		if err := w.WriteHeader(&h); err != nil {
			return err
		}
		_, err := w.Write(body)
		return err
	}
	name := strings.TrimPrefix(c.to, "/")
	for at, folder := range strings.Split(path.Dir(name), "/") {
		if folder == "." {
			break
		}
		above := strings.Join(strings.Split(name, "/")[:at+1], "/") + "/"
		if err := put(tar.Header{Typeflag: tar.TypeDir, Name: above, Mode: 0o755}, nil); err != nil {
			return nil, err
		}
	}
	var err error
	switch c.from {
	case "/out/chatrelay":
		var binary []byte
		if binary, err = os.ReadFile(p.file); err == nil {
			err = put(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755, Uid: c.uid, Gid: c.gid}, binary)
		}
	case "/out/data":
		err = put(tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, Uid: c.uid, Gid: c.gid}, nil)
	case "/etc/ssl/certs/ca-certificates.crt":
		err = put(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Uid: c.uid, Gid: c.gid}, authorities())
	default:
		err = fmt.Errorf("nothing is known of %s", c.from)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// authorities are Mozilla's, which Debian's ca-certificates are, too; from a Go module, so that they are the same on
// every machine.
func authorities() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
	}
	return out.Bytes()
}

// archive puts a folder into one file, in order of names.
func archive(dir, file string, p *program) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := tar.NewWriter(f)
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		h := tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(body)), ModTime: p.release.time}
		if err := w.WriteHeader(&h); err != nil {
			return err
		}
		_, err = w.Write(body)
		return err
	})
	return errors.Join(err, w.Close())
}
