// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"strconv"
	"time"
)

// count has thousands separated by commas.
func count(n int64) string {
	digits, sign := strconv.FormatUint(magnitude(n), 10), ""
	if n < 0 {
		sign = "-"
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// short has three digits and a unit.
func short(f float64) string {
	for _, u := range []string{"", "k", "M", "G"} {
		if f < 999.5 {
			if u == "" || f >= 99.95 {
				return fmt.Sprintf("%.0f%s", f, u)
			}
			return fmt.Sprintf("%.1f%s", f, u)
		}
		f /= 1000
	}
	return fmt.Sprintf("%.0fT", f)
}

// size is a number of bytes.
func size(n int64) string { return short(float64(n)) + "B" }

// clock is minutes and seconds, with hours where there are some.
func clock(d time.Duration) string {
	s := int(d.Seconds())
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%02d:%02d", s/60, s%60)
}

// Span is a length of time in its largest unit.
func Span(d time.Duration) string {
	if d < 0 {
		return "-" + Span(-d)
	}
	const day = 24 * time.Hour
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%dµs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%.1fm", d.Minutes())
	case d < 2*day:
		return fmt.Sprintf("%.1fh", d.Hours())
	case d < 730*day:
		return fmt.Sprintf("%.1fd", d.Hours()/24)
	default:
		return fmt.Sprintf("%.1fy", d.Hours()/24/365.25)
	}
}
