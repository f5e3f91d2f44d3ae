package configs

import "strings"

// Table is the table of docs/CONFIGURATION.md.
func Table() string {
	var b strings.Builder
	b.WriteString("| variable | default | |\n|---|---|---|\n")
	for _, f := range new(Config).fields() {
		b.WriteString("| `" + f.name + "` | " + f.defaultCell() + " | " + cell(f.desc) + " |\n")
	}
	return b.String()
}

// Description is what is told of a setting.
type Description struct{ Name, Default, Text string }

// Describe tells of every setting, in the order of the table.
func Describe() (out []Description) {
	for _, f := range new(Config).fields() {
		d := Description{Name: f.name, Default: f.fallback, Text: f.desc}
		switch {
		case f.required:
			d.Default = "required"
		case f.shown != "":
			d.Default = f.shown
		}
		out = append(out, d)
	}
	return out
}

func (f *field) defaultCell() string {
	switch {
	case f.required:
		return "**required**"
	case f.shown != "":
		return cell(f.shown)
	case f.fallback != "":
		return "`" + strings.ReplaceAll(f.fallback, "|", `\|`) + "`"
	}
	return ""
}

// cell is text that Markdown neither takes for a tag nor for the end of the cell.
func cell(text string) string {
	return strings.NewReplacer("<", "&lt;", ">", "&gt;", "|", `\|`).Replace(text)
}

// Example is example.env: every setting with its meaning; what has a default is commented out.
func Example() string {
	var b strings.Builder
	b.WriteString("# Settings of chatrelay, made from the tags in configs/configs.go (go generate ./configs).\n" +
		"# What is commented out has the default that is shown, or is not set.\n")
	for _, room := range new(Config).rooms() {
		b.WriteByte('\n')
		for _, f := range fieldsOf(room) {
			b.WriteString("# " + f.desc + "\n" + f.exampleLine() + "\n")
		}
	}
	return b.String()
}

func (f *field) exampleLine() string {
	if f.required {
		return f.name + "=" + f.example
	}
	if f.shown != "" {
		return "# " + f.name + "=   (" + f.shown + ")"
	}
	return "# " + f.name + "=" + f.fallback
}
