package configs

import (
	"fmt"
	"strings"
)

// Setting is one line of the configuration as it may be shown.
type Setting struct {
	Name, Value string
	Meaning     string
	Default     bool // nobody has set it to anything else
}

// Settings are all that are set or have a default, secrets redacted.
func (c *Config) Settings() []Setting {
	var out []Setting
	var untouched Config
	_ = untouched.parse(map[string]string{}) // what is required is missing, and the defaults are good
	defaults := untouched.fields()
	for i, f := range c.fields() {
		if text := f.text(); text != "" && text != "[]" {
			out = append(out, Setting{Name: f.name, Value: text, Meaning: f.desc, Default: text == defaults[i].text()})
		}
	}
	return out
}

// text is the value as it may be shown.
func (f *field) text() string {
	switch list := f.value.Interface().(type) {
	case JIDList:
		return strings.Join(list, ",")
	case HostList:
		return strings.Join(list, ",")
	case []BrokerURL:
		return strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ","), "[]")
	}
	return fmt.Sprint(f.value.Interface())
}

// String is the settings, one a line, secrets redacted.
func (c Config) String() string {
	var b strings.Builder
	for _, s := range c.Settings() {
		b.WriteString(s.Name + "=" + s.Value + "\n")
	}
	return b.String()
}
