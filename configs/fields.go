package configs

import "reflect"

// field is one setting as its tags describe it.
type field struct {
	goName   string
	name     string // with prefix
	fallback string // envDefault
	shown    string // the default in words, where it is made of others
	example  string
	desc     string
	required bool
	value    reflect.Value
}

// rooms are the structs that hold settings, in the order of the table.
func (c *Config) rooms() []any {
	return []any{&c.MQTT, &c.XMPP, &c.Messages, &c.Store, &c.HTTP, &c.Console, &c.Log, &c.Process}
}

func fieldsOf(room any) []field {
	v := reflect.ValueOf(room).Elem()
	out := make([]field, v.NumField())
	for i := range out {
		f := v.Type().Field(i)
		out[i] = field{
			goName: f.Name, name: Prefix + f.Tag.Get("env"), fallback: f.Tag.Get("envDefault"), shown: f.Tag.Get("shown"),
			example: f.Tag.Get("example"), desc: f.Tag.Get("desc"), required: f.Tag.Get("required") == "true", value: v.Field(i),
		}
	}
	return out
}

func (c *Config) fields() []field {
	var out []field
	for _, room := range c.rooms() {
		out = append(out, fieldsOf(room)...)
	}
	return out
}

func names() []string {
	var out []string
	for _, f := range new(Config).fields() {
		out = append(out, f.name)
	}
	return out
}
