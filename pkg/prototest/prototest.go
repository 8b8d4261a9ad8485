// Package prototest reads protobuf messages in tests, field by field.
package prototest

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// Fields calls do for each field of a message: with its bytes, or with its number.
func Fields(t *testing.T, message []byte, do func(field protowire.Number, data []byte, number int)) {
	t.Helper()
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		message = message[n:]
		var data []byte
		var number uint64
		switch kind {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(message)
		case protowire.Fixed64Type:
			number, n = protowire.ConsumeFixed64(message)
		case protowire.Fixed32Type:
			var bits uint32
			bits, n = protowire.ConsumeFixed32(message)
			number = uint64(bits)
		default:
			data, n = protowire.ConsumeBytes(message)
		}
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		message = message[n:]
		do(field, data, int(number))
	}
}
