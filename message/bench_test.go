package message

import "testing"

// benchBody is an everyday envelope of 300 bytes: quotes, markup, an emoji.
const benchBody = `{"chatType":1,"content":"Hello, \"Bob\" & <b>all</b> 😀, see you at 5 this afternoon?","from":"1001",` +
	`"to":"1002","contentType":0,"groupJid":"","groupName":"","timeStamp":1700000000123,"name":"Alice Liddell",` +
	`"photo":"https://example.org/photos/1001.jpeg","id":"7f3c9a1e-5b7d-4c1e-9d55-0f1a2b3c4d5e"}`

func BenchmarkParse(b *testing.B) {
	body, rules := []byte(benchBody), &Rules{MaxBytes: 192 << 10, Own: "receiver"}
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := Parse(body, rules); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkKey(b *testing.B) {
	e, err := Parse([]byte(benchBody), &Rules{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = e.Key()
	}
}

func BenchmarkParseKey(b *testing.B) {
	body, rules := []byte(benchBody), &Rules{MaxBytes: 192 << 10, Own: "receiver"}
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		e, err := Parse(body, rules)
		if err != nil {
			b.Fatal(err)
		}
		_ = e.Key()
	}
}
