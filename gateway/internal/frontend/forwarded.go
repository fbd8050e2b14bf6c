package frontend

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/cardea-gateway/cardea/policies/call"
)

// maxHops bounds how many proxies in front of the gateway are looked through.
const maxHops = 32

// locate fills in where a request came from. The other end of the connection is the client, unless it is a trusted proxy:
// then the client is the right-most address of X-Forwarded-For (or, where that is missing, of Forwarded) that is no trusted
// proxy. What stands left of it is the client's own word, and goes no further.
func locate(x Exchange, trusted []netip.Prefix, r *call.Reception) {
	remote := x.Remote()
	r.Client, r.Scheme, r.Host = remote, "http", x.Authority()
	if x.Secure() {
		r.Scheme = "https"
	}
	if remote.IsValid() {
		r.ForwardedFor = remote.Addr().String()
	}
	if !isTrusted(trusted, remote.Addr()) {
		return
	}
	header := x.Header()
	if list := header.Values("x-forwarded-for"); len(list) > 0 {
		hops := lookThrough(&reverse{lists: list, separators: ","}, trusted, r, parseNode)
		believe(r, nth(header.Values("x-forwarded-proto"), hops), nth(header.Values("x-forwarded-host"), hops))
		return
	}
	if list := header.Values("forwarded"); len(list) > 0 {
		var last element
		lookThrough(&reverse{lists: list, separators: ",", quotes: true}, trusted, r, func(text string) (netip.AddrPort, bool) {
			e, ok := parseElement(text)
			if !ok {
				return netip.AddrPort{}, false
			}
			last = e
			return parseNode(e.node)
		})
		believe(r, last.proto, last.host)
		return
	}
	believe(r, nth(header.Values("x-forwarded-proto"), 1), nth(header.Values("x-forwarded-host"), 1))
}

// Networks reads networks such as 10.0.0.0/8, and addresses, which stand for themselves. What is neither is left out: the
// configuration has been checked.
func Networks(texts []string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		if p, err := netip.ParsePrefix(text); err == nil {
			all = append(all, p.Masked())
		} else if addr, err := netip.ParseAddr(text); err == nil {
			addr = addr.Unmap().WithZone("")
			all = append(all, netip.PrefixFrom(addr, addr.BitLen()))
		}
	}
	return all
}

func isTrusted(trusted []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// lookThrough walks the entries from the right, as long as trusted proxies wrote them, and returns how many it believed. A
// malformed entry ends the trust: who wrote it is the client.
func lookThrough(entries *reverse, trusted []netip.Prefix, r *call.Reception, parse func(string) (netip.AddrPort, bool)) int {
	hops := 0
	for hops < maxHops && isTrusted(trusted, r.Client.Addr()) {
		entry, ok := entries.next()
		if !ok {
			break
		}
		addr, ok := parse(entry)
		if !ok {
			break
		}
		r.Client = addr
		r.ForwardedFor = addr.Addr().String() + ", " + r.ForwardedFor
		hops++
	}
	return hops
}

// believe takes over what a trusted proxy says of scheme and host, where it makes sense.
func believe(r *call.Reception, proto, host string) {
	if proto = strings.ToLower(proto); proto == "http" || proto == "https" {
		r.Scheme = proto
	}
	if isHost(host) {
		r.Host = host
	}
}

// isHost tells whether text may be a host with or without a port.
func isHost(text string) bool {
	for i := range len(text) {
		c := text[i] | 0x20
		if (c < 'a' || c > 'z') && (text[i] < '0' || text[i] > ':') && strings.IndexByte("-._[]", text[i]) < 0 {
			return false
		}
	}
	return text != "" && len(text) <= 255
}

// nth returns the entry that the same proxy wrote as the hops-th address from the right: that one, or the left-most where
// there are fewer.
func nth(lists []string, hops int) string {
	entries := &reverse{lists: lists, separators: ","}
	entry, _ := entries.next()
	for range hops - 1 {
		next, ok := entries.next()
		if !ok {
			break
		}
		entry = next
	}
	return entry
}

// reverse takes a list apart from the right, so that nothing that a client wrote on the left, such as a quote that never
// ends, can swallow what trusted proxies have added.
type reverse struct {
	lists      []string // Header lines, in order.
	separators string
	quotes     bool // Separators may stand in quoted strings.
	rest       string
	within     bool // The last line is being taken apart.
}

// next returns the next entry from the right, trimmed.
func (v *reverse) next() (string, bool) {
	if !v.within {
		if len(v.lists) == 0 {
			return "", false
		}
		last := len(v.lists) - 1
		v.rest, v.lists, v.within = v.lists[last], v.lists[:last], true
	}
	i := v.cut()
	entry := strings.Trim(v.rest[i+1:], " \t")
	v.within = i >= 0
	v.rest = v.rest[:max(i, 0)]
	return entry, true
}

// cut returns where the last separator is that stands outside of quotes, or -1.
func (v *reverse) cut() int {
	quoted := false
	for i := len(v.rest) - 1; i >= 0; i-- {
		switch c := v.rest[i]; {
		case v.quotes && c == '"' && !escaped(v.rest[:i]):
			quoted = !quoted
		case !quoted && strings.IndexByte(v.separators, c) >= 0:
			return i
		}
	}
	return -1
}

// escaped tells whether the character after before is escaped by a backslash.
func escaped(before string) bool {
	return (len(before)-len(strings.TrimRight(before, `\`)))%2 == 1
}

// element is what the gateway reads of one element of the Forwarded header.
type element struct{ node, proto, host string }

// parseElement reads one element (RFC 7239, section 4): pairs of a token and a token or quoted string, set apart by
// semicolons.
func parseElement(text string) (element, bool) {
	var e element
	seen := map[string]bool{}
	pairs := &reverse{lists: []string{text}, separators: ";", quotes: true}
	for pair, ok := pairs.next(); ok; pair, ok = pairs.next() {
		name, value, ok := strings.Cut(pair, "=")
		name = strings.ToLower(name)
		if value, ok = unquote(value, ok); !ok || !isToken(name) || seen[name] {
			return element{}, false
		}
		seen[name] = true
		switch name {
		case "for":
			e.node = value
		case "proto":
			e.proto = value
		case "host":
			e.host = value
		}
	}
	return e, true
}

// unquote returns what a token or a quoted string stands for.
func unquote(text string, ok bool) (string, bool) {
	if !ok || !strings.HasPrefix(text, `"`) {
		return text, ok && isToken(text)
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return b.String(), i == len(text)-1
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}

// isToken tells whether text is a token of RFC 9110, section 5.6.2. Colons and brackets are none: IPv6 addresses need quotes.
func isToken(text string) bool {
	for i := range len(text) {
		c := text[i] | 0x20
		if (c < 'a' || c > 'z') && (text[i] < '0' || text[i] > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", text[i]) < 0 {
			return false
		}
	}
	return text != ""
}

// parseNode reads an address with or without a port: 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1], [2001:db8::1]:80.
// Names, obfuscated identifiers and "unknown" say nothing that could be believed.
func parseNode(text string) (netip.AddrPort, bool) {
	host, port := text, ""
	if bracketed, ok := strings.CutPrefix(text, "["); ok {
		var closed bool
		if host, port, closed = strings.Cut(bracketed, "]"); !closed || strings.IndexByte(host, ':') < 0 {
			return netip.AddrPort{}, false
		}
	} else if i := strings.IndexByte(text, ':'); i >= 0 && i == strings.LastIndexByte(text, ':') {
		host, port = text[:i], text[i:]
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" {
		return netip.AddrPort{}, false
	}
	number, ok := parsePort(port)
	return netip.AddrPortFrom(addr.Unmap(), number), ok
}

// parsePort reads a colon and a port, or nothing.
func parsePort(text string) (uint16, bool) {
	if text == "" {
		return 0, true
	}
	number, err := strconv.ParseUint(strings.TrimPrefix(text, ":"), 10, 16)
	return uint16(number), err == nil && text[0] == ':'
}
