package weighted

import "time"

const (
	// coldest is how much of its weight counts for an instance that has just become ready.
	coldest = 0.1
	// spare is how much more than its share an instance of the preferred zone is trusted to take, so that the loss of a few does not
	// send calls away.
	spare = 1.4
)

// candidate is an instance, as far as its share of the calls depends on it.
type candidate struct {
	weight float64 // What the registry says.
	warmth float64 // How much of the weight counts, from coldest to 1. It is 0 while the instance is not ready.
	local  bool    // It is in the preferred zone.
	sick   bool    // The registry calls it unhealthy: it is only used because too few are not.
}

// counts is the weight that counts now.
func (c candidate) counts() float64 { return c.weight * c.warmth }

// warmth is how much of its weight counts for an instance that has been ready for some time, if it has a window to warm up.
func warmth(ready, window time.Duration) float64 {
	if ready >= window {
		return 1
	}
	return coldest + (1-coldest)*float64(ready)/float64(window)
}

// shares returns the part of the calls that each candidate gets. They add up to 1 if anyone is ready, and to 0 otherwise. Those that
// are not ready get nothing, nor do those without weight, unless none of the ready ones has any.
func shares(all []candidate) []float64 {
	near, far := 0.0, 0.0
	for _, c := range all {
		if c.local {
			near += c.counts()
		} else {
			far += c.counts()
		}
	}
	if near == 0 && far == 0 {
		return even(all)
	}
	stay := staying(all, near, far)
	parts := make([]float64, len(all))
	for i, c := range all {
		switch {
		case c.counts() == 0: // Also keeps clear of a zone that has nothing to divide by.
		case c.local:
			parts[i] = c.counts() / near * stay
		default:
			parts[i] = c.counts() / far * (1 - stay)
		}
	}
	return parts
}

// staying is the part of the calls that stay in the preferred zone, if the weight that counts is near and far.
//
// What is ready there is held against all that is listed there. It is measured by the warmest instance of any zone: where all
// are new, there is nobody warm to help out.
func staying(all []candidate, near, far float64) float64 {
	switch {
	case near == 0:
		return 0
	case far == 0:
		return 1
	}
	listed, warmest := 0.0, 0.0
	for _, c := range all {
		if c.local {
			listed += c.weight
		}
		if c.local && c.sick { // It takes calls, and is no reason to keep them here.
			near -= c.counts()
		}
		if c.weight > 0 {
			warmest = max(warmest, c.warmth)
		}
	}
	return min(1, spare*near/warmest/listed)
}

// even gives all that are ready the same.
func even(all []candidate) []float64 {
	ready := 0.0
	for _, c := range all {
		if c.warmth > 0 {
			ready++
		}
	}
	parts := make([]float64, len(all))
	for i, c := range all {
		if c.warmth > 0 {
			parts[i] = 1 / ready
		}
	}
	return parts
}
