package message

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// testRules are the rules of the tests that do not bring their own.
func testRules() *Rules { return &Rules{MaxBytes: 192 << 10, Own: "receiver"} }

// body makes an envelope in which raw values of a sound direct message are replaced, or left out when the new
// value is empty: body("from", `"1003"`, "to", "").
func body(t testing.TB, pairs ...string) string {
	t.Helper()
	fields := map[string]string{
		"chatType": `1`, "content": `"hi"`, "from": `"1001"`, "to": `"1002"`, "contentType": `0`,
		"groupJid": `""`, "groupName": `""`, "timeStamp": `1700000000123`, "name": `"Ann"`, "photo": `""`,
	}
	for i := 0; i < len(pairs); i += 2 {
		fields[pairs[i]] = pairs[i+1]
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if fields[name] != "" {
			parts = append(parts, `"`+name+`":`+fields[name])
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// with adds raw members behind those of a body, also such as it has already.
func with(b, members string) string { return strings.TrimSuffix(b, "}") + "," + members + "}" }

func mustParse(t testing.TB, b string) Envelope {
	t.Helper()
	e, err := Parse([]byte(b), testRules())
	if err != nil {
		t.Fatalf("Parse(%s) = %v, want it accepted", b, err)
	}
	return e
}

func refusal(t testing.TB, b string, r *Rules) (Envelope, *Refusal) {
	t.Helper()
	e, err := Parse([]byte(b), r)
	if err == nil {
		return e, &Refusal{Reason: "accepted"}
	}
	var why *Refusal
	if !errors.As(err, &why) {
		t.Fatalf("Parse(%q) gave %T, want *Refusal", b, err)
	}
	return e, why
}

func TestParseReadsEachField(t *testing.T) {
	got := mustParse(t, `{"chatType":2,"content":"a\tb","from":1001,"to":"1002","contentType":7,"groupJid":"r@x.org",`+
		`"groupName":"R","timeStamp":"1700000000","name":"Ann","photo":null,"id":"i1","msgId":5,"other":{"from":"9"}}`)
	want := Envelope{From: "1001", To: "1002", GroupJID: "r@x.org", GroupName: "R", ChatType: 2, ContentType: 7,
		Content: "a\tb", ID: "i1", Time: 1700000000000, HasTime: true}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Envelope{})); diff != "" {
		t.Errorf("envelope (-want +got):\n%s", diff)
	}
}

func TestParseAccepts(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	tests := map[string]struct {
		body string
		want func(*Envelope) bool
	}{
		"plain":                       {body(t), func(e *Envelope) bool { return e.Content == "hi" && !e.Group() && !e.Notice }},
		"white space around":          {" \t\r\n" + body(t) + "\r\n\t ", nil},
		"content empty":               {body(t, "content", `""`), func(e *Envelope) bool { return e.Content == "" }},
		"content with NUL":            {body(t, "content", `"a\u0000b"`), func(e *Envelope) bool { return e.Content == "a\x00b" }},
		"content with a pair":         {body(t, "content", `"\ud83d\ude00"`), func(e *Envelope) bool { return e.Content == "😀" }},
		"content with raw U+FFFE":     {body(t, "content", "\"\uFFFE\""), func(e *Envelope) bool { return e.Content == "\uFFFE" }},
		"content with U+FFFD":         {body(t, "content", "\"\uFFFD\""), func(e *Envelope) bool { return e.Content == "\uFFFD" }},
		"contentType missing":         {body(t, "contentType", ""), func(e *Envelope) bool { return e.ContentType == 0 }},
		"contentType null":            {body(t, "contentType", "null"), func(e *Envelope) bool { return e.ContentType == 0 }},
		"contentType other":           {body(t, "contentType", "42"), func(e *Envelope) bool { return e.ContentType == 42 }},
		"contentType least":           {body(t, "contentType", "-9223372036854775808"), func(e *Envelope) bool { return e.ContentType == -1<<63 }},
		"groupJid missing":            {body(t, "groupJid", ""), func(e *Envelope) bool { return !e.Group() }},
		"groupJid null":               {body(t, "groupJid", "null"), func(e *Envelope) bool { return !e.Group() }},
		"groupName missing":           {body(t, "groupName", ""), nil},
		"groupName null":              {body(t, "groupName", "null"), nil},
		"name missing":                {body(t, "name", ""), nil},
		"name null":                   {body(t, "name", "null"), nil},
		"photo missing":               {body(t, "photo", ""), nil},
		"photo null":                  {body(t, "photo", "null"), nil},
		"chatType missing":            {body(t, "chatType", ""), func(e *Envelope) bool { return e.ChatType == 0 && !e.Group() }},
		"chatType 1 with a groupJid":  {body(t, "groupJid", `"r@x"`), func(e *Envelope) bool { return e.Group() && e.ChatType == 1 }},
		"chatType 2 with a groupJid":  {body(t, "chatType", "2", "groupJid", `"r@x"`), (*Envelope).Group},
		"no time":                     {body(t, "timeStamp", ""), func(e *Envelope) bool { return !e.HasTime && !e.Identified() }},
		"id without a time":           {body(t, "timeStamp", "", "id", `"a"`), func(e *Envelope) bool { return e.ID == "a" && e.Identified() }},
		"time 0":                      {body(t, "timeStamp", "0"), func(e *Envelope) bool { return e.HasTime && e.Time == 0 && e.Identified() }},
		"from an integer":             {body(t, "from", "1001"), func(e *Envelope) bool { return e.From == "1001" }},
		"from 0":                      {body(t, "from", "0"), func(e *Envelope) bool { return e.From == "0" }},
		"from longer than an integer": {body(t, "from", strings.Repeat("9", 64)), func(e *Envelope) bool { return len(e.From) == 64 }},
		"from escaped":                {body(t, "from", `"\u0031\u0030\u0030\u0031"`), func(e *Envelope) bool { return e.From == "1001" }},
		"from's name escaped":         {with(body(t, "from", ""), `"fr\u006fm":"1001"`), func(e *Envelope) bool { return e.From == "1001" }},
		"to missing":                  {body(t, "to", ""), func(e *Envelope) bool { return e.To == "" }},
		"to an integer":               {body(t, "to", "1002"), func(e *Envelope) bool { return e.To == "1002" }},
		"to empty in a group message": {body(t, "to", `""`, "groupJid", `"r@x"`), func(e *Envelope) bool { return e.To == "" && e.Group() }},
		"From is another name":        {with(body(t), `"From":"1009","FROM":7,"TO":[],"Content":1`), func(e *Envelope) bool { return e.From == "1001" }},
		"time\\u017ftamp is another":  {with(body(t), `"time\u017ftamp":"x"`), func(e *Envelope) bool { return e.Time == 1700000000123 }},
		"names with a space are other": {with(body(t), `"from ":"9"," from":"9","from\u0000":"9"`),
			func(e *Envelope) bool { return e.From == "1001" }},
		"known names deeper down are other": {with(body(t), `"x":{"from":"1009","from":"1008","status":"sent","statusTime":1}`),
			func(e *Envelope) bool { return e.From == "1001" && !e.Notice }},
		"unknown name given twice":     {with(body(t), `"x":1,"x":2`), nil},
		"empty name":                   {with(body(t), `"":1`), nil},
		"long escaped name":            {with(body(t), `"`+strings.Repeat(`\u0061`, 500)+`":1`), nil},
		"msgId":                        {body(t, "msgId", `"m1"`), func(e *Envelope) bool { return e.ID == "m1" }},
		"msgId an integer":             {body(t, "msgId", `17`), func(e *Envelope) bool { return e.ID == "17" }},
		"id before msgId":              {body(t, "msgId", `"m1"`, "id", `"i1"`), func(e *Envelope) bool { return e.ID == "i1" }},
		"id a negative integer":        {body(t, "id", `-5`), func(e *Envelope) bool { return e.ID == "-5" }},
		"id of 255 bytes":              {body(t, "id", `"`+strings.Repeat("i", 255)+`"`), func(e *Envelope) bool { return len(e.ID) == 255 }},
		"depth 32":                     {with(body(t), `"x":`+deep(31)), nil},
		"depth 32 twice":               {with(body(t), `"x":`+deep(31)+`,"y":`+deep(31)), nil},
		"brackets in a string":         {with(body(t), `"x":["`+strings.Repeat("[", 99)+`\"[{\\"]`), nil},
		"another status with its time": {with(body(t), `"status":"busy","statusTime":1`), func(e *Envelope) bool { return !e.Notice }},
		"a status of another type":     {with(body(t), `"status":[1],"statusTime":1`), func(e *Envelope) bool { return !e.Notice }},
		"a status with capitals":       {with(body(t), `"status":"Sent","statusTime":1`), func(e *Envelope) bool { return !e.Notice }},
		"a notice's status, no time":   {with(body(t), `"status":"sent"`), func(e *Envelope) bool { return !e.Notice }},
		"a notice's time, no status":   {with(body(t), `"statusTime":1`), func(e *Envelope) bool { return !e.Notice }},
		"words too long to share": {body(t, "groupJid", `"`+strings.Repeat("g", 300)+`"`, "groupName", `"`+strings.Repeat("n", 200)+`"`, "id", `"`+strings.Repeat("i", 100)+`"`),
			func(e *Envelope) bool {
				return len(e.GroupJID) == 300 && len(e.GroupName) == 200 && e.ID == strings.Repeat("i", 100) && e.From == "1001" && e.To == "1002"
			}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			given := []byte(tt.body)
			e, err := Parse(given, testRules())
			if err != nil {
				t.Fatalf("Parse(%q) = %v, want it accepted", tt.body, err)
			}
			if tt.want != nil && !tt.want(&e) {
				t.Errorf("Parse(%q) = %+v", tt.body, e)
			}
			if string(given) != tt.body {
				t.Errorf("Parse changed the body to %q", given)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	group := func(pairs ...string) string {
		return body(t, append([]string{"chatType", "2", "groupJid", `"r@x"`}, pairs...)...)
	}
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	// from tells whether the sender can be told.
	tests := map[string]struct {
		body, want string
		from       bool
	}{
		"empty":                       {"", NotJSON, false},
		"white space only":            {" \n", NotJSON, false},
		"plain text":                  {"hello", NotJSON, false},
		"a byte order mark":           {"\uFEFF" + body(t), NotJSON, false},
		"cut short":                   {body(t)[:50], NotJSON, false},
		"only a brace":                {"{", NotJSON, false},
		"a comma too many":            {strings.TrimSuffix(body(t), "}") + ",}", NotJSON, false},
		"no colon":                    {`{"from" "1001"}`, NotJSON, false},
		"no value":                    {`{"from":}`, NotJSON, false},
		"a bare name":                 {`{from:"1001"}`, NotJSON, false},
		"a number for a name":         {"{1:2}", NotJSON, false},
		"an object for a name":        {"{{}:2}", NotJSON, false},
		"single quotes":               {`{'from':'1001'}`, NotJSON, false},
		"a comment":                   {"{/**/" + body(t)[1:], NotJSON, false},
		"mismatched brackets":         {with(body(t), `"x":[1}`), NotJSON, false},
		"leading zero":                {body(t, "from", "01001"), NotJSON, false},
		"plus sign":                   {body(t, "timeStamp", "+1"), NotJSON, false},
		"NaN":                         {body(t, "timeStamp", "NaN"), NotJSON, false},
		"raw control character":       {body(t, "content", "\"a\nb\""), NotJSON, false},
		"raw NUL":                     {body(t, "content", "\"a\x00b\""), NotJSON, false},
		"unknown escape":              {body(t, "content", `"\x41"`), NotJSON, false},
		"broken escape":               {body(t, "content", `"\u12g4"`), NotJSON, false},
		"an array":                    {"[" + body(t) + "]", NotObject, false},
		"a string":                    {`"hello"`, NotObject, false},
		"a number":                    {`5`, NotObject, false},
		"null":                        {` null `, NotObject, false},
		"second object":               {body(t) + body(t), TrailingData, false},
		"second object on a new line": {body(t) + "\n" + body(t), TrailingData, false},
		"second value":                {body(t) + " 1", TrailingData, false},
		"a bracket behind":            {body(t) + "}", TrailingData, false},
		"NUL behind":                  {body(t) + "\x00", TrailingData, false},
		"a no-break space behind":     {body(t) + "\u00a0", TrailingData, false},
		"bad bytes behind":            {body(t) + "\xff", TrailingData, false},
		"depth 33, arrays":            {with(body(t), `"x":`+deep(32)), TooDeep, false},
		"depth 33, objects":           {with(body(t), `"x":`+strings.Repeat(`{"a":`, 32)+"1"+strings.Repeat("}", 32)), TooDeep, false},
		"depth 33 behind a string":    {with(body(t), `"x":["\"]\\",`+deep(31)+`]`), TooDeep, false},
		"depth 33 behind a sibling":   {with(body(t), `"x":[`+deep(5)+`,`+deep(31)+`]`), TooDeep, false},
		"depth 33 in from":            {body(t, "from", deep(32)), TooDeep, false},
		"depth 10 000, cut short":     {`{"x":` + strings.Repeat("[", 10000), TooDeep, false},
		"an array of depth 33":        {deep(33), TooDeep, false},
		"bad UTF-8 in content":        {body(t, "content", "\"\xff\""), BadUTF8, false},
		"bad UTF-8 in a name":         {with(body(t), "\"\xc3\":1"), BadUTF8, false},
		"bad UTF-8 in another field":  {with(body(t), "\"x\":[\"\x80\"]"), BadUTF8, false},
		"bad UTF-8 outside strings":   {"{\xff}", BadUTF8, false},
		"overlong UTF-8":              {body(t, "from", "\"\xc0\xb1001\""), BadUTF8, false},
		"a surrogate in UTF-8":        {body(t, "content", "\"\xed\xa0\x80\""), BadUTF8, false},
		"UTF-8 cut short":             {body(t)[:1] + "\"x\":\"\xe2\x82", BadUTF8, false},
		"a high surrogate":            {body(t, "content", `"\ud800"`), BadSurrogate, false},
		"a high surrogate, capitals":  {body(t, "content", `"\uD8FFx"`), BadSurrogate, false},
		"a low surrogate":             {body(t, "content", `"x\udfff"`), BadSurrogate, false},
		"two high surrogates":         {body(t, "content", `"\ud800\ud801"`), BadSurrogate, false},
		"a pair the wrong way round":  {body(t, "content", `"\udc00\ud800"`), BadSurrogate, false},
		"a surrogate and a letter":    {body(t, "content", `"\ud83d\u0041"`), BadSurrogate, false},
		"a surrogate in a name":       {with(body(t), `"\udead":1`), BadSurrogate, false},
		"a surrogate in other fields": {with(body(t), `"x":{"y":["\udead"]}`), BadSurrogate, false},

		"chatType twice":        {with(body(t), `"chatType":1`), DuplicateField, true},
		"content twice":         {with(body(t), `"content":"hi"`), DuplicateField, true},
		"from twice":            {with(body(t), `"from":"1001"`), DuplicateField, false},
		"from twice, escaped":   {with(body(t), `"fr\u006fm":"1009"`), DuplicateField, false},
		"from twice, both esc.": {with(body(t, "from", ""), `"\u0066rom":"1001","fro\u006D":"1001"`), DuplicateField, false},
		"to twice":              {with(body(t), `"to":"1003"`), DuplicateField, true},
		"contentType twice":     {with(body(t), `"contentType":null`), DuplicateField, true},
		"groupJid twice":        {with(body(t), `"groupJid":"r@x"`), DuplicateField, true},
		"groupName twice":       {with(body(t), `"groupName":""`), DuplicateField, true},
		"timeStamp twice":       {with(body(t), `"timeStamp":1`), DuplicateField, true},
		"name twice":            {with(body(t), `"name":"B"`), DuplicateField, true},
		"photo twice":           {with(body(t), `"photo":""`), DuplicateField, true},
		"id twice":              {with(body(t), `"id":1,"id":1`), DuplicateField, true},
		"msgId twice":           {with(body(t), `"msgId":1,"msgId":1`), DuplicateField, true},
		"status twice":          {with(body(t), `"status":"a","status":"b"`), DuplicateField, true},
		"statusTime twice":      {with(body(t), `"statusTime":1,"statusTime":1`), DuplicateField, true},

		"from missing":                {body(t, "from", ""), BadFrom, false},
		"from null":                   {body(t, "from", "null"), BadFrom, false},
		"from empty":                  {body(t, "from", `""`), BadFrom, false},
		"from true":                   {body(t, "from", "true"), BadFrom, false},
		"from an object":              {body(t, "from", `{"a":1}`), BadFrom, false},
		"from an array":               {body(t, "from", `["1001"]`), BadFrom, false},
		"from negative":               {body(t, "from", "-1001"), BadFrom, false},
		"from with a fraction":        {body(t, "from", "1001.0"), BadFrom, false},
		"from with an exponent":       {body(t, "from", "1001e0"), BadFrom, false},
		"from with a space":           {body(t, "from", `"1001 "`), BadFrom, false},
		"from a JID":                  {body(t, "from", `"1001@x.org"`), BadFrom, false},
		"from a wildcard":             {body(t, "from", `"+"`), BadFrom, false},
		"from with a slash":           {body(t, "from", `"a/b"`), BadFrom, false},
		"from with NUL":               {body(t, "from", `"1001\u0000"`), BadFrom, false},
		"from in full width":          {body(t, "from", `"１００１"`), BadFrom, false},
		"from with a Kelvin sign":     {body(t, "from", `"des\u212a"`), BadFrom, false},
		"from begins with a dot":      {body(t, "from", `".1001"`), BadFrom, false},
		"from of 65 characters":       {body(t, "from", `"`+strings.Repeat("a", 65)+`"`), BadFrom, false},
		"from of 65 digits":           {body(t, "from", strings.Repeat("9", 65)), BadFrom, false},
		"from the relay's own":        {body(t, "from", `"receiver"`), BadFrom, false},
		"only From":                   {with(body(t, "from", ""), `"From":"1001"`), BadFrom, false},
		"to null":                     {body(t, "to", "null"), BadTo, true},
		"to empty, direct":            {body(t, "to", `""`), BadTo, true},
		"to a fraction":               {body(t, "to", "1.5"), BadTo, true},
		"to an array":                 {body(t, "to", "[]"), BadTo, true},
		"to a wildcard":               {body(t, "to", `"#"`), BadTo, true},
		"to the relay's own":          {body(t, "to", `"receiver"`), BadTo, true},
		"to a wildcard, group":        {group("to", `"+"`), BadTo, true},
		"to null, group":              {group("to", `null`), BadTo, true},
		"content missing":             {body(t, "content", ""), BadContent, true},
		"content null":                {body(t, "content", "null"), BadContent, true},
		"content a number":            {body(t, "content", "5"), BadContent, true},
		"content an object":           {body(t, "content", `{"a":1}`), BadContent, true},
		"contentType a string":        {body(t, "contentType", `"0"`), BadContentType, true},
		"contentType with a fraction": {body(t, "contentType", "0.5"), BadContentType, true},
		"contentType with exponent":   {body(t, "contentType", "1e2"), BadContentType, true},
		"contentType false":           {body(t, "contentType", "false"), BadContentType, true},
		"contentType beyond int64":    {body(t, "contentType", "9223372036854775808"), BadContentType, true},
		"contentType long":            {body(t, "contentType", strings.Repeat("1", 5000)), BadContentType, true},
		"chatType a string":           {body(t, "chatType", `"1"`), BadChatType, true},
		"chatType null":               {body(t, "chatType", "null"), BadChatType, true},
		"chatType with a fraction":    {body(t, "chatType", "1.0"), BadChatType, true},
		"chatType 2, no groupJid":     {body(t, "chatType", "2", "groupJid", ""), BadGroup, true},
		"chatType 2, groupJid null":   {body(t, "chatType", "2", "groupJid", "null"), BadGroup, true},
		"chatType 2, groupJid empty":  {body(t, "chatType", "2"), BadGroup, true},
		"groupJid a number":           {body(t, "groupJid", "5"), BadGroup, true},
		"groupJid an array":           {body(t, "groupJid", `["r@x"]`), BadGroup, true},
		"groupName a number":          {body(t, "groupName", "5"), BadGroup, true},
		"timeStamp null":              {body(t, "timeStamp", "null"), BadTime, true},
		"timeStamp true":              {body(t, "timeStamp", "true"), BadTime, true},
		"timeStamp a date":            {body(t, "timeStamp", `"2026-01-01T00:00:00Z"`), BadTime, true},
		"timeStamp beyond int64":      {body(t, "timeStamp", "9223372036854775808"), BadTime, true},
		"id null":                     {body(t, "id", "null"), BadID, true},
		"id empty":                    {body(t, "id", `""`), BadID, true},
		"id a fraction":               {body(t, "id", "1.5"), BadID, true},
		"id an object":                {body(t, "id", "{}"), BadID, true},
		"id of 256 bytes":             {body(t, "id", `"`+strings.Repeat("i", 256)+`"`), BadID, true},
		"msgId bad beside a good id":  {body(t, "id", `"a"`, "msgId", "{}"), BadID, true},
		"msgId bad":                   {body(t, "msgId", "false"), BadID, true},
		"name a number":               {body(t, "name", "5"), BadName, true},
		"name false":                  {body(t, "name", "false"), BadName, true},
		"photo an object":             {body(t, "photo", "{}"), BadPhoto, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e, why := refusal(t, tt.body, testRules())
			if why.Reason != tt.want {
				t.Fatalf("Parse(%.200q) = %s, want %s", tt.body, why.Reason, tt.want)
			}
			want := Envelope{}
			if tt.from {
				want.From = "1001"
			}
			if diff := cmp.Diff(want, e, cmpopts.IgnoreUnexported(Envelope{})); diff != "" {
				t.Errorf("a refused envelope tells more than its sender (-want +got):\n%s", diff)
			}
			if !strings.HasPrefix(why.Error(), tt.want+": ") || len(why.Text) < 15 {
				t.Errorf("refusal %q says too little", why.Error())
			}
		})
	}
}

// Refusals end up in logs, notices and stanza errors: none of them may repeat what the body says.
func TestRefusalTellsNoContent(t *testing.T) {
	for name, b := range map[string]string{
		"bad from":  `{"from":"s3cret@x"}`,
		"bad field": body(t, "name", `["s3cret"]`),
		"twice":     with(body(t, "content", `"s3cret"`), `"content":"s3cret"`),
		"not JSON":  `s3cret`,
		"trailing":  `{} s3cret`,
		"surrogate": `{"s3cret":"s3cret\ud800"}`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, why := refusal(t, b, testRules()); strings.Contains(why.Error(), "s3cret") {
				t.Errorf("refusal %q repeats the body", why.Error())
			}
		})
	}
}

func TestParseHoldsSize(t *testing.T) {
	b := body(t)
	for name, tt := range map[string]struct {
		max  int
		want string
	}{
		"no limit":      {0, "accepted"},
		"at the limit":  {len(b), "accepted"},
		"one byte over": {len(b) - 1, TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			e, why := refusal(t, b, &Rules{MaxBytes: tt.max})
			if why.Reason != tt.want {
				t.Errorf("with MaxBytes %d: %s, want %s", tt.max, why.Reason, tt.want)
			}
			if why.Reason == TooLarge && e.From != "" {
				t.Error("a body that is too large was read")
			}
		})
	}
	if _, why := refusal(t, strings.Repeat("x", 9), &Rules{MaxBytes: 8}); why.Reason != TooLarge {
		t.Errorf("size is held after parsing: %s", why.Reason)
	}
}

// fieldOf and name are two lists of one set of names.
func TestFieldNames(t *testing.T) {
	for f := range fields {
		if got, ok := fieldOf([]byte(f.name())); !ok || got != f {
			t.Errorf("fieldOf(%q) = %d, %v, want %d", f.name(), got, ok, f)
		}
	}
}
