package config

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// expansion is a scalar value that refers to environment variables.
type expansion struct {
	written string            // As in the file: static:///${HOST}:50051.
	value   string            // What came of it.
	names   []string          // The variables it refers to, in order.
	taken   map[string]string // The values of those that are set; the others have a default, which is in the file.
}

// expand replaces ${NAME} and ${NAME:-default} in a scalar value by what the environment says, and $$ by a dollar sign. As
// in a shell, the default also stands for a variable that is empty. What comes from the environment is not looked at again.
func expand(text string) (*expansion, error) {
	e := &expansion{written: text, taken: map[string]string{}}
	var out strings.Builder
	for rest := text; ; {
		before, after, found := strings.Cut(rest, "$")
		out.WriteString(before)
		if !found {
			e.value = out.String()
			return e, nil
		}
		value, following, err := e.dollar(after)
		if err != nil {
			return nil, err
		}
		out.WriteString(value)
		rest = following
	}
}

// dollar returns what a dollar sign and the text behind it stand for, and what follows.
func (e *expansion) dollar(text string) (value, following string, err error) {
	if following, ok := strings.CutPrefix(text, "$"); ok {
		return "$", following, nil
	}
	inner, ok := strings.CutPrefix(text, "{")
	if !ok {
		return "", "", errors.New("a lone dollar sign; write ${NAME} for an environment variable, or $$ for a dollar sign")
	}
	reference, following, ok := strings.Cut(inner, "}")
	if !ok {
		return "", "", errors.New("${ without a }; write ${NAME}, or $${ for the text itself")
	}
	value, err = e.lookup(reference)
	return value, following, err
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// lookup returns the value of the reference NAME or NAME:-default.
func (e *expansion) lookup(reference string) (string, error) {
	name, fallback, hasFallback := strings.Cut(reference, ":-")
	if !variableName.MatchString(name) || strings.Contains(fallback, "$") {
		return "", fmt.Errorf("${%s} is neither ${NAME} nor ${NAME:-default}, without $ in the default", reference)
	}
	e.names = append(e.names, name)
	value, set := os.LookupEnv(name)
	switch {
	case !utf8.ValidString(value):
		return "", fmt.Errorf("the value of the environment variable %s is not valid UTF-8", name)
	case hasFallback && value == "":
		return fallback, nil
	case !set:
		return "", fmt.Errorf("the environment variable %s is not set; set it, or write ${%s:-default}", name, name)
	}
	e.taken[name] = value
	return value, nil
}

// references names the variables: ${HOST} ${PORT}.
func (e *expansion) references() string { return "${" + strings.Join(e.names, "} ${") + "}" }

// leastSecret is the length from which the value of a variable is replaced wherever it stands in a message. Shorter ones
// are no secrets, and stand in many a word by chance.
const leastSecret = 4

// concealer replaces in messages what came from the environment by the names of the variables: it may be secret.
func concealer(expansions map[string]*expansion) *strings.Replacer {
	type pair struct{ value, name string }
	var pairs []pair
	add := func(value, name string) {
		quoted := strconv.Quote(value)
		pairs = append(pairs, pair{value, name}, pair{quoted[1 : len(quoted)-1], name})
	}
	for _, e := range expansions {
		for name, value := range e.taken {
			if len(value) >= leastSecret {
				add(value, "${"+name+"}")
			}
			for _, part := range strings.FieldsFunc(value, separates) { // Messages speak of parts, such as a host.
				if len(part) >= leastSecret {
					add(part, "${"+name+"}")
				}
			}
		}
		if len(e.taken) > 0 && e.value != "" {
			add(e.value, e.written)
		}
	}
	// The longest first, so that no part of one is left.
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(len(b.value), len(a.value)), cmp.Compare(a.value, b.value), cmp.Compare(a.name, b.name))
	})
	var list []string
	for _, p := range pairs {
		list = append(list, p.value, p.name)
	}
	return strings.NewReplacer(list...)
}

func separates(r rune) bool { return strings.ContainsRune(",;:/@?&= []", r) }

// concealed is an error whose text holds nothing from the environment.
type concealed struct {
	text string
	err  error
}

func (c *concealed) Error() string { return c.text }
func (c *concealed) Unwrap() error { return c.err }
