package weighted

import "time"

// candidate is an instance that is ready.
type candidate struct {
	weight float64
	zone   string
	sick   bool    // The registry calls it unhealthy: it is only here because too few are not.
	ramp   float64 // The part of its share that it gets by now.
}

const (
	// least is the part of its share with which an instance begins.
	least = 0.1
	// reserve is how much more than its usual load a zone can carry: calls stay there until it has lost more than two sevenths of
	// its capacity.
	reserve = 1.4
)

// ramp returns the part of its share that an instance gets.
func ramp(age, slow time.Duration) float64 {
	if age >= slow {
		return 1
	}
	return max(least, float64(age)/float64(slow))
}

// share returns the shares of instances, in any unit. Capacity is the weight of all instances of the preferred zone, with those that
// are not ready.
func share(ready []candidate, prefer string, capacity float64) []float64 {
	shares := make([]float64, len(ready))
	var near, far, left float64 // Shares here and elsewhere, and what is left of the capacity.
	for i, c := range ready {
		shares[i] = c.weight * c.ramp
		if c.zone == prefer {
			near += shares[i]
			if !c.sick {
				left += c.weight
			}
		} else {
			far += shares[i]
		}
	}
	if prefer == "" || near == 0 || far == 0 {
		return shares
	}
	stay := min(1, reserve*left/capacity)
	for i, c := range ready {
		if c.zone == prefer {
			shares[i] *= stay / near
		} else {
			shares[i] *= (1 - stay) / far
		}
	}
	return shares
}
