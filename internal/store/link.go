package store

import (
	"encoding/binary"
	"errors"
	"slices"
)

// encodeLinks packs keys and indexes into one column, so that a read needs no further query and an undelete finds what
// the document held. Strings are length-prefixed; the form is the same in every database.
func encodeLinks(keys []Key, index []Index) []byte {
	if len(keys)+len(index) == 0 {
		return []byte{}
	}
	b := binary.AppendUvarint(make([]byte, 0, 64*(len(keys)+len(index))), uint64(len(keys)))
	for _, k := range keys {
		b = appendString(appendString(appendString(b, k.Space), k.Scope), k.Value)
	}
	for _, x := range index {
		b = appendString(appendString(b, x.Name), x.Value)
	}
	return b
}

var errLinks = errors.New("the links column is damaged")

func decodeLinks(b []byte) (keys []Key, index []Index, err error) {
	if len(b) == 0 {
		return nil, nil, nil
	}
	s := string(b) // one allocation for all the strings
	n, size := binary.Uvarint(b)
	if size <= 0 || n > MaxLinks*2 {
		return nil, nil, errLinks
	}
	s = s[size:]
	next := func() (out string) {
		n, size := uvarint(s)
		if size <= 0 || n > uint64(len(s)-size) {
			err, s = errLinks, ""
			return ""
		}
		out, s = s[size:size+int(n)], s[size+int(n):]
		return out
	}
	if n > 0 {
		keys = make([]Key, 0, n)
	}
	for range n {
		k := Key{Space: next(), Scope: next(), Value: next()}
		if err != nil {
			return nil, nil, err
		}
		keys = append(keys, k)
	}
	for s != "" && err == nil {
		index = append(index, Index{Name: next(), Value: next()})
	}
	if err != nil {
		return nil, nil, err
	}
	return keys, index, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func uvarint(s string) (uint64, int) {
	var v uint64
	for i := 0; i < len(s) && i < binary.MaxVarintLen64; i++ {
		if c := s[i]; c < 0x80 {
			return v | uint64(c)<<(7*i), i + 1
		} else {
			v |= uint64(c&0x7f) << (7 * i)
		}
	}
	return 0, 0
}

// distinct returns list without repetition, in its order.
func distinct[T comparable](list []T) []T {
	for i := range list {
		if slices.Contains(list[:i], list[i]) {
			return unite(list[:i], list[i:])
		}
		if i == 16 { // long lists are cheaper by a map
			return unite(list[:i], list[i:])
		}
	}
	return list
}

// unite returns what is in a or b, without repetition.
func unite[T comparable](a, b []T) []T {
	seen := make(map[T]struct{}, len(a)+len(b))
	out := make([]T, 0, len(a)+len(b))
	for _, list := range [2][]T{a, b} {
		for _, v := range list {
			if _, ok := seen[v]; !ok {
				seen[v] = struct{}{}
				out = append(out, v)
			}
		}
	}
	return out
}

// differ returns what is only in a and what is only in b.
func differ[T comparable](a, b []T) (onlyA, onlyB []T) {
	inA, inB := make(map[T]struct{}, len(a)), make(map[T]struct{}, len(b))
	for _, v := range a {
		inA[v] = struct{}{}
	}
	for _, v := range b {
		if _, again := inB[v]; again {
			continue
		}
		inB[v] = struct{}{}
		if _, ok := inA[v]; !ok {
			onlyB = append(onlyB, v)
		}
	}
	for v := range inA {
		if _, ok := inB[v]; !ok {
			onlyA = append(onlyA, v)
		}
	}
	return onlyA, onlyB
}
