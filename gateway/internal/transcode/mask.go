package transcode

// Hot path: paths of a google.protobuf.FieldMask, which are snake_case on the wire and lowerCamelCase in JSON.

func isLower(c byte) bool { return c-'a' < 26 }

func isUpper(c byte) bool { return c-'A' < 26 }

// appendCamelPath appends a path as JSON has it. It reports false if that could not be turned back.
func appendCamelPath(dst, path []byte) ([]byte, bool) {
	if !isPath(path) {
		return dst, false
	}
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case isUpper(c):
			return dst, false
		case c != '_':
			dst = append(dst, c)
			continue
		}
		if i++; i == len(path) || !isLower(path[i]) {
			return dst, false
		}
		dst = append(dst, path[i]-'a'+'A')
	}
	return dst, true
}

// appendSnakePath appends a path of JSON as the wire has it. It reports false if it is no path, or not lowerCamelCase.
func appendSnakePath(dst, path []byte) ([]byte, bool) {
	start := len(dst)
	for _, c := range path {
		switch {
		case c == '_':
			return dst, false
		case isUpper(c):
			dst = append(dst, '_', c-'A'+'a')
		default:
			dst = append(dst, c)
		}
	}
	return dst, isPath(dst[start:])
}

// isPath reports whether a path consists of identifiers with points between them.
func isPath(path []byte) bool {
	first := true
	for _, c := range path {
		switch {
		case c == '.':
			if first {
				return false
			}
			first = true
		case isLower(c), isUpper(c), c == '_':
			first = false
		case isDigit(c):
			if first {
				return false
			}
		default:
			return false
		}
	}
	return !first
}
