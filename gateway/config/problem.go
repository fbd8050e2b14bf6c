package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// problems collects what is wrong with one file.
type problems struct {
	name  string
	lines []string
	found []problem
}

// problem is one thing that is wrong; line and column are 0 where it has no place.
type problem struct {
	line, column int
	err          error
}

// add reports a problem at a node.
func (p *problems) add(n *yaml.Node, format string, args ...any) {
	p.found = append(p.found, problem{n.Line, n.Column, p.at(n.Line, n.Column, fmt.Errorf(format, args...))})
}

// addPlain reports a problem without a place; nil is none.
func (p *problems) addPlain(err error) {
	if err != nil {
		p.found = append(p.found, problem{err: err})
	}
}

// at shows a message with its place: the line, and a caret under the column.
func (p *problems) at(line, column int, problem error) error {
	placed := fmt.Errorf("%s:%d:%d %w", p.name, line, column, problem)
	if line < 1 || line > len(p.lines) || p.lines[line-1] == "" {
		return placed
	}
	return fmt.Errorf("%w\n%4d | %s\n%4d | %s^", placed, line, p.lines[line-1], line, strings.Repeat(".", max(column-1, 0)))
}

// err returns all problems as one error, in the order of the file, or nil if there are none.
func (p *problems) err() error {
	if len(p.found) == 0 {
		return nil
	}
	slices.SortStableFunc(p.found, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column))
	})
	list := make(problemList, len(p.found))
	for i, each := range p.found {
		list[i] = each.err
	}
	return list
}

// problemList is like errors.Join.
type problemList []error

func (l problemList) Error() string {
	texts := make([]string, len(l))
	for i, err := range l {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "\n")
}

func (l problemList) Unwrap() []error { return l }
