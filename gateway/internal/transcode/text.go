package transcode

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Hot path: strings of JSON. Plain text is looked at eight bytes at a time and copied once; nothing here allocates
// beyond the caller's buffer.

const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// special returns the high bit of each byte of a word that is a quote, a backslash or a control character. Bits above
// the lowest may be false alarms.
func special(w uint64) uint64 {
	quote := w ^ '"'*ones
	slash := w ^ '\\'*ones
	return ((w-' '*ones)&^w | (quote-ones)&^quote | (slash-ones)&^slash) & highs
}

func isSpecial(c byte) bool { return c < ' ' || c == '"' || c == '\\' }

// unplain sets the high bit of each byte of a word that is special or no ASCII. Bits above the lowest may be false alarms,
// and the other bits mean nothing.
func unplain(w uint64) uint64 {
	return (w - ' '*ones) | ((w ^ '"'*ones) - ones) | ((w ^ '\\'*ones) - ones) | w
}

// plainBlocks returns how many bytes at the beginning of b, in whole blocks of 32, stand for themselves in a JSON string
// and are ASCII. Long text has nothing else, for the most part.
func plainBlocks(b []byte) int {
	i := 0
	for ; i+32 <= len(b); i += 32 {
		w := b[i : i+32 : i+32]
		m := unplain(binary.LittleEndian.Uint64(w)) | unplain(binary.LittleEndian.Uint64(w[8:])) |
			unplain(binary.LittleEndian.Uint64(w[16:])) | unplain(binary.LittleEndian.Uint64(w[24:]))
		if m&highs != 0 {
			break
		}
	}
	return i
}

// plain returns how many bytes at the beginning of b stand for themselves in a JSON string, and notes the high bits among
// them: without one, they are ASCII.
func plain(b []byte, nonASCII *uint64) int {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		if i == 64 { // A long one: blocks are worth their start.
			i += plainBlocks(b[i:])
			if i+8 > len(b) {
				break
			}
		}
		w := binary.LittleEndian.Uint64(b[i:])
		if m := special(w); m != 0 {
			n := bits.TrailingZeros64(m) / 8
			*nonASCII |= w & highs & (1<<(8*n) - 1)
			return i + n
		}
		*nonASCII |= w & highs
	}
	for ; i < len(b) && !isSpecial(b[i]); i++ {
		*nonASCII |= uint64(b[i] & 0x80)
	}
	return i
}

// appendString appends text as a JSON string. It reports false if the text is not UTF-8.
func appendString(dst, text []byte) ([]byte, bool) {
	dst = append(dst, '"')
	var nonASCII uint64
	n := plain(text, &nonASCII)
	if (n < len(text) || nonASCII != 0) && !utf8.Valid(text) {
		return dst, false
	}
	for n < len(text) {
		dst = append(dst, text[:n]...)
		dst = appendEscape(dst, text[n])
		text = text[n+1:]
		n = plain(text, &nonASCII)
	}
	dst = append(dst, text...)
	return append(dst, '"'), true
}

func appendEscape(dst []byte, c byte) []byte {
	const digits = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	default:
		return append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
	}
}

// appendUnescaped appends what the inside of a JSON string means. The tokenizer has checked the escapes.
func appendUnescaped(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		c := raw[i+1]
		raw = raw[i+2:]
		if c != 'u' {
			dst = append(dst, unescaped[c])
			continue
		}
		r, n := escapedRune(raw)
		dst = utf8.AppendRune(dst, r)
		raw = raw[n:]
	}
}

// unescaped is what a character behind a backslash means; 0 if it means nothing.
var unescaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escapedRune reads what stands behind `\u`: four hexadecimal digits, or a pair of surrogates. It returns how long
// that is, 0 if it is not valid, as half a pair is not.
func escapedRune(raw []byte) (r rune, n int) {
	r, ok := hex4(raw)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 4
	}
	if len(raw) < 10 || raw[4] != '\\' || raw[5] != 'u' {
		return 0, 0
	}
	second, ok := hex4(raw[6:])
	if r = utf16.DecodeRune(r, second); !ok || r == utf8.RuneError {
		return 0, 0
	}
	return r, 10
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

var (
	base64Std    = base64.StdEncoding
	base64URL    = base64.URLEncoding
	base64RawStd = base64.RawStdEncoding
	base64RawURL = base64.RawURLEncoding
)

// appendBase64 appends text as a JSON string of base64.
func appendBase64(dst, b []byte) []byte {
	dst = append(dst, '"')
	dst = base64Std.AppendEncode(dst, b)
	return append(dst, '"')
}

// appendUnbase64 appends the bytes that base64 stands for: standard or URL alphabet, padded or not.
func appendUnbase64(dst, text []byte) ([]byte, error) {
	url := bytes.IndexByte(text, '-') >= 0 || bytes.IndexByte(text, '_') >= 0
	switch padded := len(text)%4 == 0; {
	case url && padded:
		return base64URL.AppendDecode(dst, text)
	case url:
		return base64RawURL.AppendDecode(dst, text)
	case padded:
		return base64Std.AppendDecode(dst, text)
	default:
		return base64RawStd.AppendDecode(dst, text)
	}
}

// appendQuotedInt appends an integer in quotes.
func appendQuotedInt(dst []byte, n int64) []byte {
	dst = append(dst, '"')
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, '"')
}

// appendQuotedUint appends an integer in quotes.
func appendQuotedUint(dst []byte, n uint64) []byte {
	dst = append(dst, '"')
	dst = strconv.AppendUint(dst, n, 10)
	return append(dst, '"')
}
