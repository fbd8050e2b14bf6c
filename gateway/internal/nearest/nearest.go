// Package nearest guesses which name was meant by one that does not exist.
package nearest

import (
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// maxDistance bounds the edits between a name and a guess, however long they are.
const maxDistance = 3

// Name returns the candidate that was probably meant by a name, or "" if none is close. Case does not count. A name with the
// letters of a candidate in another order is close to it, and so is one that is its end, such as OrderService of
// food.order.v1.OrderService. Among equally close candidates the first in alphabetical order wins.
func Name(name string, candidates []string) string {
	best, least := "", len(name)
	for _, candidate := range slices.Sorted(slices.Values(candidates)) {
		if d, ok := distance(strings.ToLower(name), strings.ToLower(candidate)); ok && (best == "" || d < least) {
			best, least = candidate, d
		}
	}
	return best
}

// Hint returns Name as the end of an error message, "; did you mean NAME?", or "" where there is no guess.
func Hint(name string, candidates []string) string {
	if guess := Name(name, candidates); guess != "" {
		return "; did you mean " + guess + "?"
	}
	return ""
}

// distance tells how far a name is from a candidate, and whether that is close enough for a guess.
func distance(name, candidate string) (edits int, near bool) {
	if name == "" || candidate == "" {
		return 0, false
	}
	if letters(name) == letters(candidate) {
		return 1, true
	}
	edits = levenshtein.ComputeDistance(name, candidate)
	if strings.HasSuffix(candidate, "."+name) || strings.HasSuffix(candidate, "_"+name) {
		return min(edits, 2), true // A name that differs in one letter is closer.
	}
	return edits, edits <= min(maxDistance, max(1, len(name)/3))
}

// letters returns the letters of a name in alphabetical order.
func letters(name string) string {
	sorted := []byte(name)
	slices.Sort(sorted)
	return string(sorted)
}
