package bugletest

import (
	"cmp"
	"slices"
)

// A landmark is a row of crests of the low-passed waveform: the distances between landmarkCrests+1 of them, in samples.
// What is played reaches the phone sample by sample as it was recorded, only requantised by G.711, so most distances
// survive exactly, while two recordings of the same words hardly ever share a row.
const (
	landmarkCrests = 7
	// widestGap is the longest distance between two crests; a longer one (a pause) begins a new row.
	widestGap = 63
	// lowestCrest keeps out crests that are mere quantisation noise, in units of crestFinder's output.
	lowestCrest = 2000
	// commonLandmark is how often a row may occur among all clips and still say something; steady tones exceed it.
	commonLandmark = 48
)

// crestFinder finds the crests of a stream. Its filter is two running sums of 4 and 5 samples (zeros at 2 and 1.6 kHz)
// less the mean of 32, in integers, so that equal input gives equal crests wherever it begins.
type crestFinder struct {
	last     [32]int32 // the newest 32 samples, by position modulo 32
	sums     [8]int32  // the newest 8 sums of 4, by position modulo 8
	sum4     int32
	sum5     int32
	sum32    int32
	y1, y2   int32
	position int64 // of the next sample
	gaps     [landmarkCrests]uint8
	known    int   // how many gaps are valid
	crest    int64 // position of the last crest
}

// next takes a sample. It returns a landmark and the position of its last crest when that is found at this sample.
func (f *crestFinder) next(sample int16) (hash uint32, at int64, ok bool) {
	n := f.position
	f.position++
	x := int32(sample)
	f.sum4 += x - f.last[(n-4)&31]
	f.sum32 += x - f.last[n&31]
	f.last[n&31] = x
	f.sum5 += f.sum4 - f.sums[(n-5)&7]
	f.sums[n&7] = f.sum4
	// 20 samples weigh in sum5; the mean of 32 is taken away with the same weight.
	y := f.sum5 - f.sum32*20/32
	isCrest := f.y1 > f.y2 && f.y1 >= y && f.y1 > lowestCrest
	f.y2, f.y1 = f.y1, y
	if !isCrest {
		return 0, 0, false
	}
	at = n - 1
	gap := at - f.crest
	f.crest = at
	if gap > widestGap {
		f.known = 0
		return 0, 0, false
	}
	copy(f.gaps[:], f.gaps[1:])
	f.gaps[landmarkCrests-1] = uint8(gap)
	if f.known < landmarkCrests {
		f.known++
		if f.known < landmarkCrests {
			return 0, 0, false
		}
	}
	row := uint64(0)
	for _, g := range f.gaps {
		row = row<<6 | uint64(g)
	}
	return uint32(row * 0x9E3779B97F4A7C15 >> 32), at, true
}

// landmarks is an index from landmarks to the places in the clips where they occur.
type landmarks struct {
	hashes []uint32 // ascending
	places []place  // beside hashes
}

type place struct {
	clip     int32
	position int32 // in samples from the clip's beginning
}

func indexLandmarks(clips []knownClip) landmarks {
	type entry struct {
		hash uint32
		place
	}
	var all []entry
	for i, clip := range clips {
		var f crestFinder
		for _, sample := range clip.pcm {
			if hash, at, ok := f.next(sample); ok {
				all = append(all, entry{hash, place{int32(i), int32(at)}})
			}
		}
	}
	slices.SortFunc(all, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.clip, b.clip), cmp.Compare(a.position, b.position))
	})
	index := landmarks{hashes: make([]uint32, 0, len(all)), places: make([]place, 0, len(all))}
	for from := 0; from < len(all); {
		to := from
		for to < len(all) && all[to].hash == all[from].hash {
			to++
		}
		if to-from <= commonLandmark {
			for _, e := range all[from:to] {
				index.hashes = append(index.hashes, e.hash)
				index.places = append(index.places, e.place)
			}
		}
		from = to
	}
	return index
}

// find returns the places of a landmark.
func (l *landmarks) find(hash uint32) []place {
	from, ok := slices.BinarySearch(l.hashes, hash)
	if !ok {
		return nil
	}
	to := from
	for to < len(l.hashes) && l.hashes[to] == hash {
		to++
	}
	return l.places[from:to]
}
