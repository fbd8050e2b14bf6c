package transcode

import (
	"bytes"
	"hash/maphash"
	"math/bits"
)

// Hot path: keySet finds out whether a map has a key twice. It allocates only when it grows, compares the keys of
// small maps one by one and hashes those of large ones, with a secret seed: the keys are the sender's choice.
//
// Maps nest, so it is a stack: a run belongs to one map, and runs end in the reverse order of their beginnings.
type keySet struct {
	keys  []mapKey
	slots []int32 // Hash tables of the larger runs: 1 + index of a key in its run, or 0.
}

// mapKey is a key that was seen: a number, or the hash of a text and where that stands in the source.
type mapKey struct {
	number   uint64
	off, len int32
}

// keyRun is the keys of one map, from first on. Its table, once it has one, is all slots from table on.
type keyRun struct {
	first, table int
	hashed       bool
}

// maxLinear is how many keys are compared one by one.
const maxLinear = 8

// maxKept bounds what a pooled set keeps, in keys: a rare giant must not stay in memory for good.
const maxKept = 1 << 14

var (
	textSeed = maphash.MakeSeed()
	numSeed  = maphash.String(textSeed, "numbers") | 1
)

func (k *keySet) begin() keyRun { return keyRun{first: len(k.keys), table: len(k.slots)} }

func (k *keySet) end(r keyRun) {
	k.keys = k.keys[:r.first]
	k.slots = k.slots[:r.table]
}

// reset forgets all runs, also those that an error has cut short.
func (k *keySet) reset() {
	if cap(k.keys) > maxKept || cap(k.slots) > 4*maxKept {
		*k = keySet{}
	}
	k.keys, k.slots = k.keys[:0], k.slots[:0]
}

// textNumber returns what stands for a text among the numbers.
func textNumber(text []byte) uint64 { return maphash.Bytes(textSeed, text) }

func mixNumber(n uint64) uint64 {
	hi, lo := bits.Mul64(n^numSeed, numSeed*0x9e3779b97f4a7c15|1)
	return hi ^ lo
}

// has reports whether the run has a key already. Text is nil if keys are numbers.
func (k *keySet) has(r *keyRun, src []byte, number uint64, text []byte) bool {
	keys := k.keys[r.first:]
	if !r.hashed {
		for i := range keys {
			if keys[i].is(src, number, text) {
				return true
			}
		}
		return false
	}
	table := k.slots[r.table:]
	mask := uint64(len(table) - 1)
	for i := mixNumber(number) & mask; table[i] != 0; i = (i + 1) & mask {
		if keys[table[i]-1].is(src, number, text) {
			return true
		}
	}
	return false
}

func (m *mapKey) is(src []byte, number uint64, text []byte) bool {
	return m.number == number && bytes.Equal(src[m.off:m.off+m.len], text)
}

func (k *keySet) add(r *keyRun, key mapKey) {
	k.keys = append(k.keys, key)
	n := len(k.keys) - r.first
	switch {
	case n <= maxLinear:
	case !r.hashed || 2*n > len(k.slots)-r.table:
		k.grow(r)
	default:
		k.insert(r, n)
	}
}

// grow makes or doubles the table of the innermost run.
func (k *keySet) grow(r *keyRun) {
	n := len(k.keys) - r.first
	size := 4 * maxLinear
	for size < 4*n {
		size *= 2
	}
	if need := r.table + size; cap(k.slots) < need {
		k.slots = append(make([]int32, 0, need), k.slots[:r.table]...)
	}
	k.slots = k.slots[:r.table+size]
	clear(k.slots[r.table:])
	r.hashed = true
	for i := 1; i <= n; i++ {
		k.insert(r, i)
	}
}

// insert puts the nth key of a run, counted from 1, into its table.
func (k *keySet) insert(r *keyRun, n int) {
	table := k.slots[r.table:]
	mask := uint64(len(table) - 1)
	i := mixNumber(k.keys[r.first+n-1].number) & mask
	for table[i] != 0 {
		i = (i + 1) & mask
	}
	table[i] = int32(n)
}
