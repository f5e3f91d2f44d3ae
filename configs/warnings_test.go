package configs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWarnings(t *testing.T) {
	secret := func(text string, mode os.FileMode) string {
		file := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for name, tt := range map[string]struct {
		env  []string
		want string // empty: none
	}{
		"sound":              {[]string{"HTTP_TOKEN_FILE=" + secret("sesame\n", 0o640)}, ""},
		"a blank at the end": {[]string{"HTTP_TOKEN=sesame "}, "CHATRELAY_HTTP_TOKEN begins or ends in blanks"},
		"two line ends":      {[]string{"HTTP_TOKEN_FILE=" + secret("sesame\n\n", 0o600)}, "CHATRELAY_HTTP_TOKEN_FILE begins or ends in blanks"},
		"a blank in a file":  {[]string{"MQTT_USERNAME=u", "MQTT_PASSWORD_FILE=" + secret("sesame \r\n", 0o600)}, "CHATRELAY_MQTT_PASSWORD_FILE begins or ends"},
		"a console's token":  {[]string{"CONSOLE_TOKEN_FILE=" + secret("sesame-0123456789", 0o644)}, "CHATRELAY_CONSOLE_TOKEN_FILE names a file that everybody may read (mode 0644)"},
		"readable by all":    {[]string{"HTTP_TOKEN_FILE=" + secret("sesame", 0o644)}, "CHATRELAY_HTTP_TOKEN_FILE names a file that everybody may read (mode 0644)"},
	} {
		env := least()
		for _, e := range tt.env {
			env = append(env, Prefix+e)
		}
		c, err := Load(env)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := c.Warnings()
		if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || !strings.Contains(got[0].String(), tt.want) || strings.Contains(got[0].String(), "sesame")) {
			t.Errorf("%s: %v, want %q", name, got, tt.want)
		}
	}
}
