// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobsettings

import (
	"slices"

	"github.com/weir-stream/weir/internal/spelling"
)

func known(key string) bool {
	return slices.ContainsFunc(options(), func(o Option) bool {
		return o.Key == key || slices.Contains(o.deprecated, key)
	})
}

// nearest is the known key that is most like another.
func nearest(key string) string {
	var keys []string
	for _, o := range options() {
		keys = append(keys, o.Key)
	}
	return spelling.Nearest(key, keys)
}
