// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package codec

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strconv"
	"time"
)

// generator makes random types and values, the same from the same seed.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator { return generator{rand.New(rand.NewPCG(seed, 1))} }

var leafTypes = []reflect.Type{
	reflect.TypeFor[bool](), reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](),
	reflect.TypeFor[int64](), reflect.TypeFor[uint](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](),
	reflect.TypeFor[uint64](), reflect.TypeFor[float32](), reflect.TypeFor[float64](), reflect.TypeFor[string](), reflect.TypeFor[[]byte](),
	reflect.TypeFor[time.Time](), reflect.TypeFor[time.Duration](), reflect.TypeFor[netip.Addr](), reflect.TypeFor[time.Weekday](),
	reflect.TypeFor[uintptr](), reflect.TypeFor[struct{}](), reflect.TypeFor[[16]byte](),
}

var keyTypes = []reflect.Type{
	reflect.TypeFor[string](), reflect.TypeFor[int](), reflect.TypeFor[uint16](), reflect.TypeFor[bool](), reflect.TypeFor[float64](),
	reflect.TypeFor[[2]int8](), reflect.TypeFor[struct{ A, B string }](), reflect.TypeFor[netip.Addr](), reflect.TypeFor[struct{}](),
}

func (g generator) structType(depth int) reflect.Type {
	fields := make([]reflect.StructField, g.IntN(5))
	for i := range fields {
		fields[i] = reflect.StructField{Name: "F" + strconv.Itoa(i), Type: g.typ(depth - 1)}
	}
	return reflect.StructOf(fields)
}

func (g generator) typ(depth int) reflect.Type {
	if depth <= 0 || g.IntN(2) == 0 {
		return leafTypes[g.IntN(len(leafTypes))]
	}
	switch g.IntN(5) {
	case 0:
		return reflect.ArrayOf(g.IntN(4), g.typ(depth-1))
	case 1:
		return reflect.SliceOf(g.typ(depth - 1))
	case 2:
		return reflect.PointerTo(g.typ(depth - 1))
	case 3:
		return reflect.MapOf(keyTypes[g.IntN(len(keyTypes))], g.typ(depth-1))
	default:
		return g.structType(depth)
	}
}

// fill sets v, which is addressable, to a random value.
func (g generator) fill(v reflect.Value) {
	switch t := v.Type(); t.Kind() {
	case reflect.Bool:
		v.SetBool(g.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(g.bits()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		v.SetUint(g.bits())
	case reflect.Float32, reflect.Float64:
		v.SetFloat(g.NormFloat64() * math.Pow(10, float64(g.IntN(9)-4)))
	case reflect.String:
		v.SetString(string(g.text()))
	case reflect.Array:
		for i := range v.Len() {
			g.fill(v.Index(i))
		}
	case reflect.Slice:
		if g.IntN(4) > 0 {
			v.Set(reflect.MakeSlice(t, g.IntN(4), 5))
		}
		for i := range v.Len() {
			g.fill(v.Index(i))
		}
	case reflect.Pointer:
		if g.IntN(3) > 0 {
			v.Set(reflect.New(t.Elem()))
			g.fill(v.Elem())
		}
	case reflect.Map:
		g.fillMap(v)
	case reflect.Struct:
		g.fillStruct(v)
	}
}

func (g generator) fillMap(v reflect.Value) {
	if g.IntN(4) == 0 {
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for range g.IntN(5) {
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		g.fill(key)
		g.fill(value)
		v.SetMapIndex(key, value)
	}
}

func (g generator) fillStruct(v reflect.Value) {
	switch p := v.Addr().Interface().(type) {
	case *time.Time:
		if g.IntN(4) > 0 {
			*p = time.Unix(int64(g.bits())>>20, g.Int64N(1e9)).UTC()
		}
	case *netip.Addr:
		if g.IntN(4) > 0 {
			*p = netip.AddrFrom4([4]byte(binary.LittleEndian.AppendUint32(nil, g.Uint32())))
		}
	default:
		for i := range v.NumField() {
			g.fill(v.Field(i))
		}
	}
}

// bits returns numbers of all magnitudes, few and many equal.
func (g generator) bits() uint64 {
	switch g.IntN(4) {
	case 0:
		return g.Uint64()
	case 1:
		return g.Uint64() >> g.IntN(64)
	case 2:
		return -(g.Uint64() >> g.IntN(64))
	default:
		return uint64(g.IntN(3))
	}
}

func (g generator) text() []byte {
	size := g.IntN(12)
	if g.IntN(20) == 0 {
		size = g.IntN(1000)
	}
	text := make([]byte, size)
	for i := range text {
		text[i] = byte(g.Uint32())
	}
	return text
}

// garbage is a value that a decoder must overwrite.
func (g generator) garbage(t reflect.Type, n int) reflect.Value {
	rows := reflect.MakeSlice(reflect.SliceOf(t), n, n)
	for i := range n {
		g.fill(rows.Index(i))
	}
	return rows
}
