// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package csv is the format of comma-separated values with a header (RFC 4180), read into and written from the fields
// of a struct.
//
//	type Departure struct {
//		Scheduled time.Time               // column scheduled, RFC 3339
//		DepDelay  *float64                // dep_delay; nil where the field is empty
//		Gate      string `csv:",optional"`// may lack a column
//		Plane     string `csv:"tail"`
//		Note      string `csv:"-"`        // no column
//		Weather                           // an embedded struct: its fields are columns
//	}
//
// A field's column is the name in its tag, or its own name in snake case; case is ignored when a header is read. Columns
// that no field asks for are ignored. Fields are integers, floats, bool, string, []byte, time.Time, types that marshal
// as text, and pointers to all of these. An empty field means missing: the zero value, nil for pointers. Times are RFC
// 3339 and in UTC; the zero time is written as an empty field. Floats are written in their shortest form.
//
// A row with another number of fields than the header is malformed, as is one with a quote where none may be; decoding
// goes on with the next line. Empty lines are no rows. A byte order mark before the header is skipped.
//
// Non-obvious: a quote that is never closed takes all that follows into its field, as RFC 4180 says, up to the
// connector's limit for a record.
package csv
