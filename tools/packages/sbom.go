package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
)

// writeBillOfMaterials writes what the binary says of itself: every module, with the checksum that go.sum has of it.
func writeBillOfMaterials(p *program, file string) error {
	binary, err := os.ReadFile(p.file)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(binary)
	b := cyclonedx.NewBOM()
	id := sum // the same for the same bytes: a UUID of version 8 (RFC 9562 §5.8)
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	b.SerialNumber = fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[0:4], id[4:6], id[6:8], id[8:10], id[10:16])
	relay := component(cyclonedx.ComponentTypeApplication, p.info.Main.Path, p.release.version)
	relay.Hashes = &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}}
	relay.Licenses = &cyclonedx.Licenses{{License: &cyclonedx.License{ID: "Apache-2.0"}}}
	relay.Properties = &[]cyclonedx.Property{
		{Name: "file", Value: filepath.Base(p.file)}, {Name: "os", Value: "linux"}, {Name: "architecture", Value: p.arch}, {Name: "commit", Value: p.release.revision},
	}
	b.Metadata = &cyclonedx.Metadata{Timestamp: p.release.time.Format(time.RFC3339), Component: &relay}
	parts := []cyclonedx.Component{component(cyclonedx.ComponentTypeLibrary, "std", p.info.GoVersion)}
	uses := []string{parts[0].BOMRef}
	for _, m := range p.info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		c := component(cyclonedx.ComponentTypeLibrary, m.Path, m.Version)
		if h, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:")); err == nil && len(h) == sha256.Size {
			c.Hashes = &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hex.EncodeToString(h)}}
		}
		parts, uses = append(parts, c), append(uses, c.BOMRef)
	}
	b.Components = &parts
	b.Dependencies = &[]cyclonedx.Dependency{{Ref: relay.BOMRef, Dependencies: &uses}}
	var out bytes.Buffer
	if err := cyclonedx.NewBOMEncoder(&out, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(b); err != nil {
		return err
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}

// component names a module by its package URL.
func component(kind cyclonedx.ComponentType, path, version string) cyclonedx.Component {
	version = strings.TrimPrefix(version, "go")
	url := "pkg:golang/" + path + "@" + version
	return cyclonedx.Component{Type: kind, Name: path, Version: version, PackageURL: url, BOMRef: url}
}
