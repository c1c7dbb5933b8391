// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobsettings

import "slices"

func known(key string) bool {
	return slices.ContainsFunc(options(), func(o Option) bool {
		return o.Key == key || slices.Contains(o.deprecated, key)
	})
}

// nearest is the key with the least edit distance.
func nearest(key string) string {
	best := slices.MinFunc(options(), func(a, b Option) int { return distance(key, a.Key) - distance(key, b.Key) })
	return best.Key
}

// distance is that of Levenshtein.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
