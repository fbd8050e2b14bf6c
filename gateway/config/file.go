package config

import (
	"errors"
	"fmt"

	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// File is a configuration file that was read: what it says, and where it says it. It is immutable and safe for concurrent
// use, as long as nobody changes its configuration.
type File struct {
	cfg       *configv1.Config
	doc       *document
	written   *configv1.Config // Without defaults.
	effective *configv1.Config // With defaults, and file names as they are written.
}

// Config returns the configuration, complete and checked. The file keeps it: clone it before changing anything.
func (f *File) Config() *configv1.Config { return f.cfg }

// Explain gives each [FieldError] in err, which may be joined or wrapped, the form that [Load] gives its own: file, line,
// column, and the line itself. Other errors keep their text, behind the name of the file. It returns nil for nil.
func (f *File) Explain(err error) error { return f.doc.explain(err) }

func (d *document) explain(err error) error {
	if err == nil {
		return nil
	}
	c := *d
	d = &c
	d.problems.found = nil
	for _, each := range flatten(err) {
		if field, ok := errors.AsType[*FieldError](each); ok {
			d.report(field.Field, &concealed{d.conceal.Replace(field.Err.Error()), field.Err})
			continue
		}
		d.problems.addPlain(fmt.Errorf("%s: %w", d.name, &concealed{d.conceal.Replace(each.Error()), each}))
	}
	return d.problems.err()
}

// FieldError is an error about the value of one field of a configuration, found after the configuration was read.
type FieldError struct {
	// Field is the path of the field, such as backends[0].target.
	Field string
	// Err says what is wrong with it, and how to mend it.
	Err error
}

// At returns a [FieldError] for err, or one for each error that was joined to it; nil where err is nil.
func At(field string, err error) error {
	if err == nil {
		return nil
	}
	var all []error
	for _, each := range flatten(err) {
		all = append(all, &FieldError{Field: field, Err: each})
	}
	return errors.Join(all...)
}

// Error names the field and says what is wrong with it.
func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns what is wrong, without the field.
func (e *FieldError) Unwrap() error { return e.Err }

// flatten returns the parts of an error made by errors.Join, however often.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, part := range joined.Unwrap() {
		all = append(all, flatten(part)...)
	}
	return all
}
