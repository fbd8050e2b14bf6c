package httprule

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed cases
var files embed.FS

// Topic is a file of cases.
type Topic struct {
	// Topic is what they are about.
	Topic string `yaml:"topic"`
	// Groups are the sentences of the specifications, each with its cases.
	Groups []Group `yaml:"groups"`
}

// Group is a sentence of a specification, with the cases that rest on it.
type Group struct {
	// Spec is the sentence, word for word.
	Spec string `yaml:"spec"`
	// From names the document that it stands in.
	From string `yaml:"from"`
	// Choice says why Cardea does what the cases want, where the sentence leaves it open. Such cases are counted apart.
	Choice string `yaml:"choice"`
	// Cases rest on the sentence.
	Cases []Case `yaml:"cases"`
}

// Case is one request, what has to become of it, and what has to become of the answer.
type Case struct {
	// Name is unique in its topic.
	Name string `yaml:"name"`
	// Request is the HTTP method and the path with its query, as it is sent: not encoded any further.
	Request string `yaml:"request"`
	// Header has headers of the request. A body without a Content-Type is JSON.
	Header map[string]string `yaml:"header"`
	// Body is the body of the request; "..." has escapes as in Go, for bytes of any kind.
	Body string `yaml:"body"`

	// Call is the method that has to be called, Service.Method; empty if the backend must not be called.
	Call string `yaml:"call"`
	// Got is the request that the backend has to get, in the JSON form; for a stream of requests, a list. Absent: whatever.
	Got any `yaml:"got"`

	// Answer is what the backend answers, in the JSON form; for a stream of answers, a list. Absent: an empty message.
	Answer any `yaml:"answer"`
	// Fail is the status that the backend ends the call with, if that is not OK.
	Fail *Failure `yaml:"fail"`

	// Status is the HTTP status that the client has to get. 0: 200.
	Status int `yaml:"status"`
	// Want is the body that the client has to get, as JSON; Text is the same for bytes of any kind.
	Want any     `yaml:"want"`
	Text *string `yaml:"text"`
	// WantHeader has headers that the answer has to have; an empty value is one that it must not have.
	WantHeader map[string]string `yaml:"want_header"`
	// Messages are those of a stream that have to arrive, in whichever framing.
	Messages []any `yaml:"messages"`
	// Broken is true if the end of a stream has to be seen as a failure, in whichever way.
	Broken bool `yaml:"broken"`

	group *Group
	topic *Topic
}

// Failure is a status of gRPC.
type Failure struct {
	Code    int    `yaml:"code"`
	Message string `yaml:"message"`
	Details []any  `yaml:"details"`
}

// Spec returns the sentence that the case rests on.
func (c *Case) Spec() string { return strings.Join(strings.Fields(c.group.Spec), " ") }

// From returns the document that the sentence stands in.
func (c *Case) From() string { return c.group.From }

// Choice returns why Cardea does what the case wants; empty where the specification says so.
func (c *Case) Choice() string { return c.group.Choice }

// Topic returns what the case is about.
func (c *Case) Topic() string { return c.topic.Topic }

// Load reads all cases, in the order of the files.
func Load() ([]*Case, error) { return load(files) }

func load(from fs.FS) ([]*Case, error) {
	paths, err := fs.Glob(from, "cases/*.yaml")
	if err != nil {
		return nil, err
	}
	var all []*Case
	for _, path := range paths {
		data, err := fs.ReadFile(from, path)
		if err != nil {
			return nil, err
		}
		topic := &Topic{}
		decoder := yaml.NewDecoder(bytes.NewReader(data))
		decoder.KnownFields(true)
		if err := decoder.Decode(topic); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		cases, err := topic.cases()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, cases...)
	}
	return all, nil
}

// cases checks a topic and returns its cases.
func (t *Topic) cases() (all []*Case, err error) {
	seen := map[string]bool{}
	if t.Topic == "" || len(t.Groups) == 0 {
		return nil, errors.New("needs a topic and groups")
	}
	for i := range t.Groups {
		g := &t.Groups[i]
		if g.Spec == "" || g.From == "" || len(g.Cases) == 0 {
			return nil, fmt.Errorf("group %d needs a sentence, its document, and cases", i+1)
		}
		for j := range g.Cases {
			c := &g.Cases[j]
			c.group, c.topic = g, t
			if err := c.check(); err != nil {
				return nil, fmt.Errorf("case %q: %w", c.Name, err)
			}
			if seen[c.Name] {
				return nil, fmt.Errorf("there are two cases %q", c.Name)
			}
			seen[c.Name] = true
			all = append(all, c)
		}
	}
	return all, nil
}

func (c *Case) check() error {
	method, path, ok := strings.Cut(c.Request, " ")
	switch {
	case c.Name == "":
		return errors.New("needs a name")
	case !ok || method == "" || !strings.HasPrefix(path, "/"):
		return errors.New(`needs a request, such as "GET /path"`)
	case c.Call == "" && (c.Got != nil || c.Answer != nil || c.Fail != nil):
		return errors.New("says what the backend gets or answers, but not that it is called")
	case c.Call == "" && c.Status == 0 || c.Call != "" && !strings.Contains(c.Call, "."):
		return errors.New("needs a call, or the status of a refusal")
	}
	return nil
}

// text makes JSON of what YAML holds.
func text(v any) (string, error) {
	data, err := json.Marshal(v)
	return string(data), err
}
