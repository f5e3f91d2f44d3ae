package app

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCompletion: each shell itself is asked what may follow.
func TestCompletion(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		return file
	}
	scripts := map[string]string{}
	for _, shell := range shells() {
		scripts[shell] = write("chatrelay."+shell, output(t, Completion, shell))
	}
	write("chatrelay", "#!/bin/sh\n") // fish completes what exists
	ask := map[string]func(line string) []string{
		"bash": func(line string) []string {
			return []string{"bash", "--norc", "-c", `. "$1"; read -ra COMP_WORDS <<<"$2"; [[ $2 == *" " ]] && COMP_WORDS+=("")
				COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _chatrelay; printf '%s\n' "${COMPREPLY[@]}"`, "bash", scripts["bash"], line}
		},
		// zsh completes only on a terminal; here its own functions are replaced by such as show what they are given.
		"zsh": func(line string) []string {
			return []string{"zsh", "-f", "-c", `compdef() { }; compadd() { print -l -- ${@:2}; }; _describe() { for one in "${(@P)@[-1]}"; do print -r -- ${one%%:*}; done; }
				. "$1"; words=(${=2}); [[ $2 == *" " ]] && words+=(""); CURRENT=$#words; _chatrelay`, "zsh", scripts["zsh"], line}
		},
		"fish": func(line string) []string {
			return []string{"fish", "--no-config", "-c", `source $argv[1]; complete -C $argv[2]`, scripts["fish"], line}
		},
	}
	for line, want := range map[string][]string{
		"chatrelay ":                {"run", "check", "health", "journal", "completion", "man", "version"},
		"chatrelay journal ":        {"ls", "show", "requeue", "drop"},
		"chatrelay check -":         {"-json"},
		"chatrelay journal ls -":    {"-dead", "-pending", "-reason", "-sender", "-to", "-older", "-after", "-limit"},
		"chatrelay journal drop -":  {"-all", "-reason", "-sender", "-to", "-older"},
		"chatrelay completion ":     {"bash", "zsh", "fish"},
		"chatrelay help ":           {"check", "journal"},
		"chatrelay version nothing": {},
	} {
		for shell, command := range ask {
			args := command(line)
			cmd := exec.Command(args[0], args[1:]...)
			cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CACHE_HOME="+dir)
			output, err := cmd.CombinedOutput()
			if err != nil && strings.Contains(string(output), "rror") {
				t.Fatalf("%s: %v\n%s", shell, err, output)
			}
			var got []string
			for l := range strings.Lines(string(output)) {
				word, _, _ := strings.Cut(strings.TrimSpace(l), "\t")
				got = append(got, word)
			}
			for _, w := range want {
				if !slices.Contains(got, w) {
					t.Errorf("%s: %q completes to %q, without %s", shell, line, got, w)
				}
			}
			if strings.HasSuffix(line, "drop -") && slices.Contains(got, "-dead") {
				t.Errorf("%s: %q completes to %q", shell, line, got)
			}
		}
	}
}

// TestCompletionArguments: one shell that it knows.
func TestCompletionArguments(t *testing.T) {
	for _, args := range [][]string{{}, {"csh"}, {"bash", "zsh"}} {
		if err := Completion(Process{Args: args}, Commands()); ExitCode(err) != ExitConfiguration {
			t.Errorf("%q: %v", args, err)
		}
	}
}
