package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// imagesOf reads the archive as any tool for images would: by architecture.
func imagesOf(t *testing.T, file string) map[string]v1.Image {
	t.Helper()
	dir := t.TempDir()
	sh(t, dir, `tar -xf "$1"`, file)
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := top.IndexManifest()
	if err != nil || len(m.Manifests) != 1 || m.Manifests[0].Annotations["org.opencontainers.image.version"] == "" {
		t.Fatalf("%+v, %v", m, err)
	}
	index, err := top.ImageIndex(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Fatal(err)
	}
	if m, err = index.IndexManifest(); err != nil {
		t.Fatal(err)
	}
	out := map[string]v1.Image{}
	for _, d := range m.Manifests {
		if out[d.Platform.Architecture], err = index.Image(d.Digest); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestImageConfiguration: what the Dockerfile says, written here a second time by hand.
func TestImageConfiguration(t *testing.T) {
	got, err := imagesOf(t, only(t, packages(t)+"/*_oci.tar"))[runtime.GOARCH].ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := v1.Config{
		User: "65532:65532", Env: []string{"CHATRELAY_STORE=/data", "SQLITE_TMPDIR=/data", "CHATRELAY_HTTP_ADDR=0.0.0.0:8080"},
		Volumes: map[string]struct{}{"/data": {}}, ExposedPorts: map[string]struct{}{"8080/tcp": {}}, StopSignal: "SIGTERM", Entrypoint: []string{"/chatrelay"},
		Healthcheck: &v1.HealthConfig{Test: []string{"CMD", "/chatrelay", "health"}, Interval: 10 * time.Second, Timeout: 5 * time.Second,
			StartPeriod: 20 * time.Second, Retries: 3},
	}
	if diff := cmp.Diff(want, got.Config); diff != "" {
		t.Errorf("the configuration (-want +got):\n%s", diff)
	}
	if got.OS != "linux" || got.Architecture != runtime.GOARCH || got.Created.UTC().Format(time.RFC3339) != earlier || len(got.History) != 3 {
		t.Errorf("%+v", got)
	}
}

// TestImageContent: three things, and nothing else.
func TestImageContent(t *testing.T) {
	files := map[string]tar.Header{}
	read := tar.NewReader(mutate.Extract(imagesOf(t, only(t, packages(t)+"/*_oci.tar"))[runtime.GOARCH]))
	for {
		h, err := read.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		files[strings.Trim(h.Name, "/")] = *h
		if h.Name == "etc/ssl/certs/ca-certificates.crt" {
			b, err := io.ReadAll(read)
			pool := x509.NewCertPool()
			if err != nil || !pool.AppendCertsFromPEM(b) || bytes.Count(b, []byte("BEGIN CERTIFICATE")) < 100 {
				t.Errorf("the authorities are no good: %d bytes, %v", len(b), err)
			}
		}
	}
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{"chatrelay", "data", "etc", "etc/ssl", "etc/ssl/certs", "etc/ssl/certs/ca-certificates.crt"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if d, b := files["data"], files["chatrelay"]; d.Uid != 65532 || d.Gid != 65532 || d.Typeflag != tar.TypeDir || b.Uid != 0 || b.Mode != 0o755 {
		t.Errorf("%+v, %+v", d, b)
	}
}

// TestImageOfEachArchitecture: one archive, an image for each.
func TestImageOfEachArchitecture(t *testing.T) {
	file := filepath.Join(t.TempDir(), "images.tar")
	binary := filepath.Join(t.TempDir(), "chatrelay")
	if err := os.WriteFile(binary, []byte("not to be run"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := release{version: "v1.2.3+dirty", time: time.Unix(1e9, 0)}
	err := writeImages("../..", file, []*program{{file: binary, arch: "amd64", release: r}, {file: binary, arch: "arm64", release: r}})
	if err != nil {
		t.Fatal(err)
	}
	all := imagesOf(t, file)
	for _, arch := range []string{"amd64", "arm64"} {
		c, err := all[arch].ConfigFile()
		if err != nil || c.Architecture != arch || len(all) != 2 {
			t.Errorf("%s: %+v, %v, %d images", arch, c, err, len(all))
		}
	}
}

// TestLastStage: what it does not understand it refuses.
func TestLastStage(t *testing.T) {
	for text, want := range map[string]string{
		"FROM scratch\nCOPY --from=b a b\n":                         "",
		"FROM a AS b\nRUN x \\\n  y\nFROM scratch\nUSER 1:1\n":      "",
		"FROM debian\nUSER 1\n":                                     "not made from scratch",
		"FROM scratch\nRUN x\n":                                     "does not know RUN",
		"FROM scratch\nCOPY --chmod=1 a b\n":                        "does not know --chmod",
		"FROM scratch\nCOPY --chown=root a b\n":                     "two numbers",
		"FROM scratch\nCOPY a b c\n":                                "one source",
		"FROM scratch\nHEALTHCHECK NONE\n":                          "no CMD",
		"FROM scratch\nHEALTHCHECK --start-interval=1s CMD [\"a\"]": "does not know it",
		"FROM scratch\nENTRYPOINT a\n":                              "invalid character",
		"":                                                          "not made from scratch",
	} {
		file := filepath.Join(t.TempDir(), "Dockerfile")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := lastStage(file)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestImageRuns: the image's root file system, read-only, as its user: the relay starts, is healthy by its own check,
// keeps its journal in the volume, and ends when told to.
func TestImageRuns(t *testing.T) {
	needsRoot(t)
	image := imagesOf(t, only(t, packages(t)+"/*_oci.tar"))[runtime.GOARCH]
	c, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	root, volume := t.TempDir(), t.TempDir()
	unpack := exec.Command("tar", "-x", "--numeric-owner", "-C", root)
	unpack.Stdin = mutate.Extract(image)
	if output, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	// An engine gives a new volume the owner of the folder under it. The folders above are the test's own.
	if err := errors.Join(os.Chown(volume, 65532, 65532), os.Chmod(filepath.Dir(root), 0o755)); err != nil {
		t.Fatal(err)
	}
	addr := freeAddress(t)
	start := func(words ...string) *exec.Cmd {
		args := append([]string{"--mount", "--propagation", "private", "sh", "testdata/image.sh", root, volume, c.Config.User}, words...)
		cmd := exec.Command("unshare", args...)
		cmd.Env = append(slices.Clone(c.Config.Env), "PATH="+os.Getenv("PATH"), "CHATRELAY_XMPP_JID=receiver@localhost", "CHATRELAY_XMPP_PASSWORD=x",
			"CHATRELAY_XMPP_ADDR=127.0.0.1:1", "CHATRELAY_MQTT_URL=tcp://127.0.0.1:1", "CHATRELAY_HTTP_ADDR="+addr)
		return cmd
	}
	relay := start(append(c.Config.Entrypoint, "run")...)
	var log bytes.Buffer
	relay.Stderr = &log
	if err := relay.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1) // one result
	go func() { ended <- relay.Wait() }()
	for waited := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		res, err := http.Get("http://" + addr + "/livez")
		if err == nil {
			res.Body.Close()
			break
		}
		if time.Since(waited) > 30*time.Second {
			_ = relay.Process.Kill()
			<-ended
			t.Fatalf("%v\n%s", err, &log)
		}
	}
	if output, err := start(c.Config.Healthcheck.Test[1:]...).CombinedOutput(); err != nil {
		t.Errorf("the health check: %v %s", err, output)
	}
	if err := relay.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("it ends with %v\n%s", err, &log)
	}
	if owner := sh(t, volume, "stat -c %u:%g journal.db"); owner != "65532:65532\n" {
		t.Errorf("the journal belongs to %s", owner)
	}
	if _, err := os.Stat(filepath.Join(root, "data", "journal.db")); err == nil {
		t.Error("the journal is in the image")
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
