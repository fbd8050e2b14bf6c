package config

import (
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
	p.found = append(p.found, p.at(n.Line, n.Column, fmt.Errorf(format, args...)))
}

// at shows a message with its place: the line, and a caret under the column.
func (p *problems) at(line, column int, problem error) error {
	placed := fmt.Errorf("%s:%d:%d %w", p.name, line, column, problem)
	if line < 1 || line > len(p.lines) || p.lines[line-1] == "" {
		return placed
	}
	return fmt.Errorf("%w\n%4d | %s\n%4d | %s^", placed, line, p.lines[line-1], line, strings.Repeat(".", max(column-1, 0)))
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
