// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package rpctest helps tests of messages: for scripts, messages as text, the same text each time; for processes, a network
// that can fail.
package rpctest

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Format writes the body of a message on one line, fields in the order of their numbers, and where it comes from and goes
// to left out.
func Format(e *weirpb.Envelope) string {
	m := e.ProtoReflect()
	body := m.WhichOneof(m.Descriptor().Oneofs().ByName("body"))
	if body == nil {
		return "empty"
	}
	var b strings.Builder
	b.WriteString(string(body.Name()))
	message(&b, m.Get(body).Message())
	return b.String()
}

// Parse reads the body of a message in the text form of protobuf.
func Parse(text string) (*weirpb.Envelope, error) {
	e := &weirpb.Envelope{}
	return e, prototext.Unmarshal([]byte(text), e)
}

func message(b *strings.Builder, m protoreflect.Message) {
	b.WriteByte('{')
	sep := ""
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !m.Has(f) {
			continue
		}
		b.WriteString(sep)
		sep = " "
		fmt.Fprintf(b, "%s=", f.Name())
		if !f.IsList() {
			value(b, f, m.Get(f))
			continue
		}
		list := m.Get(f).List()
		b.WriteByte('[')
		for k := range list.Len() {
			if k > 0 {
				b.WriteByte(' ')
			}
			value(b, f, list.Get(k))
		}
		b.WriteByte(']')
	}
	b.WriteByte('}')
}

func value(b *strings.Builder, f protoreflect.FieldDescriptor, v protoreflect.Value) {
	switch f.Kind() {
	case protoreflect.MessageKind:
		message(b, v.Message())
	case protoreflect.EnumKind:
		name := string(f.Enum().Values().ByNumber(v.Enum()).Name())
		name = strings.TrimPrefix(name, "TASK_STATE_")
		b.WriteString(strings.TrimPrefix(name, "FAILURE_KIND_"))
	case protoreflect.BytesKind:
		fmt.Fprintf(b, "%q", v.Bytes())
	case protoreflect.Int64Kind:
		if n := v.Int(); n>>32 > 0 { // an attempt: its epoch and number
			fmt.Fprintf(b, "%d/%d", n>>32, n&0xffffffff)
			return
		}
		fmt.Fprint(b, v.Int())
	default:
		fmt.Fprint(b, v.Interface())
	}
}
