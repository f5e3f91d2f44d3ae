package app

import (
	"flag"
	"fmt"
	"io"
	"strings"
)

// shells are those that can be made to complete.
func shells() []string { return []string{"bash", "zsh", "fish"} }

// Completion writes what makes a shell complete the command line.
func Completion(p Process, all []Command) error {
	if len(p.Args) != 1 {
		return fmt.Errorf("%w: completion takes one shell: %s", errUsage, strings.Join(shells(), ", "))
	}
	write, ok := map[string]func([]Command) string{"bash": bash, "zsh": zsh, "fish": fish}[p.Args[0]]
	if !ok {
		return fmt.Errorf("%w: completion knows %s, and got %q", errUsage, strings.Join(shells(), ", "), p.Args[0])
	}
	_, err := io.WriteString(p.Out, write(all))
	return err
}

// bash has words only.
func bash(all []Command) string {
	var b strings.Builder
	b.WriteString("# Completion of chatrelay for bash.\n_chatrelay() {\n\tlocal words=\n\tif ((COMP_CWORD == 1)); then\n\t\twords='" + names(all) + "'\n\telse\n\t\tcase ${COMP_WORDS[1]} in\n")
	for _, c := range all {
		fmt.Fprintf(&b, "\t\t%s)\n", c.Name)
		if len(c.words) == 0 {
			fmt.Fprintf(&b, "\t\t\twords='%s'\n\t\t\t;;\n", options(c.flags("")))
			continue
		}
		fmt.Fprintf(&b, "\t\t\tif ((COMP_CWORD == 2)); then\n\t\t\t\twords='%s -h'\n\t\t\telse\n\t\t\t\tcase ${COMP_WORDS[2]} in\n", strings.Join(c.words, " "))
		for _, word := range c.words {
			if flags := c.flags(word); flags != nil {
				fmt.Fprintf(&b, "\t\t\t\t%s) words='%s' ;;\n", word, options(flags))
			}
		}
		b.WriteString("\t\t\t\tesac\n\t\t\tfi\n\t\t\t;;\n")
	}
	b.WriteString("\t\thelp) ((COMP_CWORD == 2)) && words='" + names(all) + "' ;;\n\t\tesac\n\tfi\n" +
		"\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\")\n}\ncomplete -F _chatrelay chatrelay\n")
	return b.String()
}

func names(all []Command) string {
	var out []string
	for _, c := range all {
		out = append(out, c.Name)
	}
	return strings.Join(append(out, "help"), " ")
}

func options(flags *flag.FlagSet) string {
	var out []string
	each(flags, func(f *flag.Flag) { out = append(out, "-"+f.Name) })
	return strings.Join(append(out, "-h"), " ")
}

// zsh shows what each word means. The script can be sourced, and stand in a folder of fpath.
func zsh(all []Command) string {
	var b strings.Builder
	b.WriteString("#compdef chatrelay\n# Completion of chatrelay for zsh.\n_chatrelay() {\n\tlocal -a found\n\tif (( CURRENT == 2 )) || [[ $CURRENT == 3 && $words[2] == help ]]; then\n\t\tfound=(")
	for _, c := range all {
		b.WriteString("\n\t\t\t" + quoted(c.Name+":"+c.Summary))
	}
	b.WriteString(")\n\t\t_describe command found\n\t\treturn\n\tfi\n\tcase $words[2] in\n")
	for _, c := range all {
		fmt.Fprintf(&b, "\t%s)\n", c.Name)
		if len(c.words) == 0 {
			fmt.Fprintf(&b, "\t\tfound=(%s)\n\t\t;;\n", described(c.flags("")))
			continue
		}
		fmt.Fprintf(&b, "\t\tif (( CURRENT == 3 )); then\n\t\t\tcompadd -- %s -h\n\t\t\treturn\n\t\tfi\n\t\tcase $words[3] in\n", strings.Join(c.words, " "))
		for _, word := range c.words {
			if flags := c.flags(word); flags != nil {
				fmt.Fprintf(&b, "\t\t%s) found=(%s) ;;\n", word, described(flags))
			}
		}
		b.WriteString("\t\tesac\n\t\t;;\n")
	}
	b.WriteString("\tesac\n\t(( $#found )) && _describe -o option found\n}\n" +
		"if [[ $funcstack[1] == _chatrelay ]]; then _chatrelay \"$@\"; else compdef _chatrelay chatrelay; fi\n")
	return b.String()
}

func described(flags *flag.FlagSet) string {
	var out []string
	each(flags, func(f *flag.Flag) {
		_, text := flag.UnquoteUsage(f)
		out = append(out, quoted("-"+f.Name+":"+text))
	})
	return strings.Join(append(out, "'-h:help'"), " ")
}

// fish shows what each word means.
func fish(all []Command) string {
	var b strings.Builder
	b.WriteString("# Completion of chatrelay for fish.\ncomplete -c chatrelay -f\n")
	for _, c := range all {
		fmt.Fprintf(&b, "complete -c chatrelay -n __fish_use_subcommand -a %s -d %s\n", c.Name, quoted(c.Summary))
	}
	fmt.Fprintf(&b, "complete -c chatrelay -n __fish_use_subcommand -a help -d 'how a command is used'\n"+
		"complete -c chatrelay -n '__fish_seen_subcommand_from help' -a '%s'\n", names(all))
	for _, c := range all {
		seen := "__fish_seen_subcommand_from " + c.Name
		if len(c.words) > 0 {
			list := strings.Join(c.words, " ")
			fmt.Fprintf(&b, "complete -c chatrelay -n '%s; and not __fish_seen_subcommand_from %s' -a '%s'\n", seen, list, list)
		}
		for _, word := range append([]string{""}, c.words...) {
			each(c.flags(word), func(f *flag.Flag) {
				when := seen
				if word != "" {
					when += "; and __fish_seen_subcommand_from " + word
				}
				_, text := flag.UnquoteUsage(f)
				fmt.Fprintf(&b, "complete -c chatrelay -n '%s' -o %s -d %s\n", when, f.Name, quoted(text))
			})
		}
	}
	return b.String()
}

// quoted is text in single quotes, as all three shells read it.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'"'"'`) + "'" }
