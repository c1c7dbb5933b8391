// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// failureCause is an error as Flink's clients read it. They show what they find in the serialized Java object and nothing
// else, so that there has to be one.
type failureCause struct {
	Class      string `json:"class"`
	StackTrace string `json:"stack-trace"`
	Serialized string `json:"serialized-throwable"`
}

func causeOf(class, text string) *failureCause {
	if text == "" {
		text = "unknown"
	}
	stack := class + ": " + text + "\n"
	return &failureCause{
		Class: class, StackTrace: stack, Serialized: base64.StdEncoding.EncodeToString(serializedThrowable(class, text, stack)),
	}
}

// Parts of Java's format for serialized objects.
const (
	javaMagic          = 0xACED
	javaVersion        = 5
	javaNull           = 0x70
	javaReference      = 0x71
	javaClass          = 0x72
	javaObject         = 0x73
	javaString         = 0x74
	javaArray          = 0x75
	javaEndBlock       = 0x78
	javaHandle         = 0x7E0000
	javaSerializable   = 2
	javaWithWriteBlock = 3
	javaStringBytesMax = 60_000
)

// javaWriter writes a stream of one object. It counts the handles that the format gives to classes, objects and strings
// in the order of their appearance, because later parts refer to them.
type javaWriter struct {
	bytes.Buffer

	handles uint32
}

func (w *javaWriter) handle() uint32 {
	w.handles++
	return javaHandle + w.handles - 1
}

func (w *javaWriter) number(v any) {
	_ = binary.Write(&w.Buffer, binary.BigEndian, v) // a buffer takes all
}

// text writes a string without its own marker, in the format's variant of UTF-8: what is outside of the first plane, and
// zero, are replaced, and what is too long is cut.
func (w *javaWriter) text(s string) {
	s = strings.Map(func(r rune) rune {
		if r == 0 || r > 0xFFFF {
			return '?'
		}
		return r
	}, s)
	if len(s) > javaStringBytesMax {
		s = strings.ToValidUTF8(s[:javaStringBytesMax], "")
	}
	w.number(uint16(len(s)))
	w.WriteString(s)
}

func (w *javaWriter) string(s string) {
	w.WriteByte(javaString)
	w.handle()
	w.text(s)
}

// fields describes fields of a class: each a kind, a name and for objects the type.
func (w *javaWriter) fields(list [][3]string) {
	w.number(uint16(len(list)))
	for _, f := range list {
		w.WriteString(f[0])
		w.text(f[1])
		if f[2] != "" {
			w.string(f[2])
		}
	}
	w.WriteByte(javaEndBlock)
}

// class describes a class; what follows is its parent.
func (w *javaWriter) class(name string, version int64, flags byte, fields [][3]string) {
	w.WriteByte(javaClass)
	w.text(name)
	w.number(version)
	w.handle()
	w.WriteByte(flags)
	w.fields(fields)
}

// serializedThrowable is the exception by which Flink carries errors whose classes the client need not have. It has no
// cause, no suppressed exceptions and no stack frames; its text is in two places, for whoever looks in one.
func serializedThrowable(class, message, stack string) []byte {
	w := &javaWriter{}
	w.number(uint16(javaMagic))
	w.number(uint16(javaVersion))
	w.WriteByte(javaObject)
	const text = "Ljava/lang/String;"
	w.class("org.apache.flink.util.SerializedThrowable", 7284183123441947635, javaSerializable, [][3]string{
		{"L", "fullStringifiedStackTrace", text},
		{"L", "originalErrorClassName", text},
		{"[", "serializedException", "[B"},
	})
	w.class("java.lang.Exception", -3387516993124229948, javaSerializable, nil)
	w.class("java.lang.Throwable", -3042686055658047285, javaWithWriteBlock, [][3]string{
		{"L", "cause", "Ljava/lang/Throwable;"},
		{"L", "detailMessage", text},
		{"[", "stackTrace", "[Ljava/lang/StackTraceElement;"},
		{"L", "suppressedExceptions", "Ljava/util/List;"},
	})
	w.WriteByte(javaNull) // Throwable has no serializable parent
	self := w.handle()
	// The fields of Throwable: no cause is written as the exception itself.
	w.WriteByte(javaReference)
	w.number(self)
	w.string(message)
	w.WriteByte(javaArray)
	w.class("[Ljava.lang.StackTraceElement;", 0x02462A3C3CFD2239, javaSerializable, nil)
	w.WriteByte(javaNull)
	w.handle()
	w.number(uint32(0))
	w.WriteByte(javaNull)
	w.WriteByte(javaEndBlock)
	// Those of SerializedThrowable; there is no exception behind it.
	w.string(stack)
	w.string(class)
	w.WriteByte(javaNull)
	return w.Bytes()
}
