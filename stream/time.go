// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package stream

import (
	"time"

	"github.com/weir-stream/weir/element"
)

const noTime = element.NoTime

// timeOf is the time of nanoseconds since the epoch, in UTC; the zero time where there is none. The end of time is the
// latest that nanoseconds can say.
func timeOf(nanos int64) time.Time {
	if nanos == noTime {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}
