package config

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// problems collects what is wrong with one file.
type problems struct {
	name  string
	lines []string
	found []error
}

// add reports a problem at a node, in the form that protoyaml gives its own.
func (p *problems) add(n *yaml.Node, format string, args ...any) {
	p.found = append(p.found, p.at(n.Line, n.Column, fmt.Sprintf(format, args...)))
}

// at shows a message with its place: the line, and a caret under the column.
func (p *problems) at(line, column int, message string) error {
	text := fmt.Sprintf("%s:%d:%d %s", p.name, line, column, message)
	if line < 1 || line > len(p.lines) || p.lines[line-1] == "" {
		return errors.New(text)
	}
	return fmt.Errorf("%s\n%4d | %s\n%4d | %s^", text, line, p.lines[line-1], line, strings.Repeat(".", max(column-1, 0)))
}

// addAll takes the problems of another package; nil is none.
func (p *problems) addAll(err error) {
	if err == nil {
		return
	}
	p.found = append(p.found, unjoin(err)...)
}

// err returns all problems as one error, or nil if there are none.
func (p *problems) err() error {
	if len(p.found) == 0 {
		return nil
	}
	return problemList(p.found)
}

// problemList is like errors.Join, without the empty lines that protoyaml's own line breaks would make.
type problemList []error

func (l problemList) Error() string {
	texts := make([]string, len(l))
	for i, err := range l {
		texts[i] = strings.TrimRight(err.Error(), "\n")
	}
	return strings.Join(texts, "\n")
}

func (l problemList) Unwrap() []error { return l }
