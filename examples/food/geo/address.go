package geo

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// abbreviations are the usual short forms of the kinds of streets, as words of their own.
var abbreviations = map[string]string{
	"st": "street", "str": "street",
	"ln":  "lane",
	"sq":  "square",
	"rd":  "road",
	"ave": "avenue", "av": "avenue",
}

// address is what was understood of what somebody wrote.
type address struct {
	street street
	number int    // 0 if there was none
	suffix string // the letter of "12b"
}

// parse finds a street in a text, and the house number beside it. What stands around the two (a floor, a district, a
// name) does not matter.
func parse(text string) (address, bool) {
	words := split(text)
	for _, s := range streets {
		if first, end, ok := locate(words, s); ok {
			number, suffix := beside(words, first, end)
			return address{street: s, number: number, suffix: suffix}, true
		}
	}
	return address{}, false
}

// split returns the words of a text in lower case and without abbreviations.
func split(text string) []string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	for i, w := range words {
		if long, ok := abbreviations[w]; ok {
			words[i] = long
		}
	}
	return words
}

// locate finds a street's name in the words: in full, or its first word alone. The first word with another kind of street
// ("Hinge Avenue") is another street.
func locate(words []string, s street) (first, end int, ok bool) {
	word, kind, _ := strings.Cut(strings.ToLower(s.name), " ")
	first = slices.Index(words, word)
	if first < 0 {
		return 0, 0, false
	}
	end = first + 1
	if end < len(words) && isKind(words[end]) {
		return first, end + 1, words[end] == kind
	}
	return first, end, true
}

func isKind(word string) bool {
	return slices.ContainsFunc(streets, func(s street) bool {
		return strings.HasSuffix(strings.ToLower(s.name), " "+word)
	})
}

// beside returns the house number before or behind the words from first to end.
func beside(words []string, first, end int) (number int, suffix string) {
	if first > 0 {
		if number, suffix = house(words[first-1]); number > 0 {
			return number, suffix
		}
	}
	if end < len(words) {
		return house(words[end])
	}
	return 0, ""
}

// house reads "12" or "12b"; what is neither is 0.
func house(word string) (number int, suffix string) {
	digits := strings.TrimRightFunc(word, unicode.IsLetter)
	suffix = word[len(digits):]
	number, err := strconv.Atoi(digits)
	if err != nil || number <= 0 || len(suffix) > 1 {
		return 0, ""
	}
	return number, suffix
}

// format returns the proper form of an address.
func (a address) format() string {
	place := a.street.name + ", " + a.street.district + ", Limen"
	if a.number == 0 {
		return place
	}
	return strconv.Itoa(a.number) + a.suffix + " " + place
}
