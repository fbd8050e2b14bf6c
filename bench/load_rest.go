package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// restConns is how many keep-alive connections carry REST calls, one call at a time each.
const restConns = 32

// restLoad writes requests that were prepared, straight to connections: the core that it shares with the backend must not
// be the bottleneck.
type restLoad struct {
	address string
	conns   []restConn
}

type restConn struct {
	net.Conn

	answers *bufio.Reader
	body    *bytes.Buffer // For reuse.
}

func dialREST(ctx context.Context, address string, conns int) (*restLoad, error) {
	l := &restLoad{address: address}
	for range conns {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			l.close()
			return nil, err
		}
		l.conns = append(l.conns, restConn{conn, bufio.NewReaderSize(conn, 16<<10), new(bytes.Buffer)})
	}
	return l, nil
}

func (l *restLoad) close() {
	for _, conn := range l.conns {
		conn.Close()
	}
}

func (l *restLoad) workers(s scenario, v *verifier) ([]worker, error) {
	request, err := l.request(s)
	if err != nil {
		return nil, err
	}
	workers := make([]worker, len(l.conns))
	for i, conn := range l.conns {
		workers[i] = func(ctx context.Context, claim func() bool) error { return conn.work(ctx, claim, request, v) }
	}
	return workers, nil
}

// request returns the bytes of a request.
func (l *restLoad) request(s scenario) ([]byte, error) {
	body, err := jsonBody(s.body)
	if err != nil {
		return nil, err
	}
	method, target, _ := strings.Cut(s.http, " ")
	request, err := http.NewRequest(method, "http://"+l.address+target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	var text bytes.Buffer
	err = request.Write(&text)
	return text.Bytes(), err
}

func jsonBody(body proto.Message) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	return protojson.Marshal(body)
}

// work makes one call after the other.
func (c restConn) work(ctx context.Context, claim func() bool, request []byte, v *verifier) error {
	defer bound(ctx, c)()
	for claim() {
		answer, err := c.call(request)
		if err != nil {
			return err
		}
		if err := v.check(answer); err != nil {
			return err
		}
	}
	return nil
}

// call sends a request and returns the answer, as answer does.
func (c restConn) call(request []byte) ([]byte, error) {
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	return c.answer()
}

// answer reads an answer, which is good until the next one.
func (c restConn) answer() ([]byte, error) {
	response, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	c.body.Reset()
	if _, err := io.Copy(c.body, response.Body); err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %.200q", response.Status, c.body)
	}
	return c.body.Bytes(), nil
}
