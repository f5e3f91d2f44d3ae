package message

import (
	"math"
	"strings"
	"testing"
)

func TestClock(t *testing.T) {
	zeros := func(n int) string { return strings.Repeat("0", n) }
	for name, tt := range map[string]struct {
		raw string
		ms  int64
		sub uint32
	}{
		"ms":                                 {"1700000000123", 1700000000123, 0},
		"ms in a string":                     {`"1700000000123"`, 1700000000123, 0},
		"ms in an escaped string":            {`"\u0031700000000123"`, 1700000000123, 0},
		"seconds":                            {"1700000000", 1700000000000, 0},
		"seconds in a string":                {`"1700000000"`, 1700000000000, 0},
		"seconds with ms":                    {"1700000000.123", 1700000000123, 0},
		"seconds with µs":                    {"1700000000.123456", 1700000000123, 456e6},
		"seconds with ps":                    {"1700000000.123456789012", 1700000000123, 456789012},
		"finer than ps is cut":               {"1700000000.1234567890129", 1700000000123, 456789012},
		"ms with a fraction":                 {"1700000000123.5", 1700000000123, 5e8},
		"ms with an empty fraction":          {"1700000000123.000", 1700000000123, 0},
		"ms with an exponent":                {"1.700000000123e12", 1700000000123, 0},
		"ms with a plus":                     {"1.700000000123E+12", 1700000000123, 0},
		"seconds with an exponent":           {"17e8", 1700000000000, 0},
		"negative exponent":                  {"1700000000123e-3", 1700000000123, 0},
		"a string with an exponent":          {`"1.7e12"`, 1700000000000, 0},
		"the last of seconds":                {"99999999999", 99999999999000, 0},
		"the last of seconds, almost":        {"99999999999.9999", 99999999999999, 9e8},
		"the first of ms":                    {"100000000000", 100000000000, 0},
		"0":                                  {"0", 0, 0},
		"-0":                                 {"-0", 0, 0},
		"0.0e5":                              {"0.0e5", 0, 0},
		"0 with a huge exponent":             {"0e99999999999999999999", 0, 0},
		"half a second":                      {"0.5", 500, 0},
		"half a ms":                          {"0.0005", 0, 5e8},
		"before 1970":                        {"-1", -1000, 0},
		"before 1970, floor":                 {"-0.0005", -1, 5e8},
		"before 1970, ms":                    {"-1700000000123.25", -1700000000124, 75e7},
		"the greatest":                       {"9223372036854775807", math.MaxInt64, 0},
		"the greatest with a fraction":       {"9223372036854775807.9", math.MaxInt64, 9e8},
		"the least":                          {"-9223372036854775808", math.MinInt64, 0},
		"just above the least":               {"-9223372036854775807.5", math.MinInt64, 5e8},
		"the greatest in a string":           {`"9223372036854775807"`, math.MaxInt64, 0},
		"above 2^53":                         {"9007199254740993", 9007199254740993, 0},
		"long zeros, made up by an exponent": {"0." + zeros(5000) + "17e5010", 1700000000000, 0},
		"long digits, made up":               {"17" + zeros(5000) + "e-4992", 1700000000000, 0},
		"a long fraction":                    {"1700000000." + zeros(5000) + "1", 1700000000000, 0},
		"too small to matter":                {"1e-99999999999999999999", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			ms, sub, ok := clock([]byte(tt.raw))
			if !ok || ms != tt.ms || sub != tt.sub {
				t.Errorf("clock(%.60s) = %d, %d, %v, want %d, %d", tt.raw, ms, sub, ok, tt.ms, tt.sub)
			}
		})
	}
}

func TestClockRefuses(t *testing.T) {
	for name, raw := range map[string]string{
		"null":                    `null`,
		"true":                    `true`,
		"an array":                `[1]`,
		"an object":               `{}`,
		"empty string":            `""`,
		"a sign only":             `"-"`,
		"a point only":            `"."`,
		"no digit before a point": `".5"`,
		"no digit behind a point": `"5."`,
		"a plus":                  `"+5"`,
		"a leading zero":          `"05"`,
		"two zeros":               `"00"`,
		"hexadecimal":             `"0x10"`,
		"an underscore":           `"1_000"`,
		"a comma":                 `"1,5"`,
		"spaces":                  `" 5"`,
		"spaces behind":           `"5 "`,
		"no exponent":             `"5e"`,
		"no exponent, signed":     `"5e+"`,
		"a broken exponent":       `"5e1.5"`,
		"two signs":               `"--5"`,
		"Infinity":                `"Infinity"`,
		"NaN":                     `"NaN"`,
		"NUL behind":              `"5\u0000"`,
		"other digits":            `"١٢"`,
		"beyond the greatest":     `9223372036854775808`,
		"beyond the least":        `-9223372036854775809`,
		"below the least":         `-9223372036854775808.5`,
		"20 digits":               `10000000000000000000`,
		"beyond uint64":           `99999999999999999999`,
		"a huge exponent":         `1e99999999999999999999`,
		"long":                    strings.Repeat("9", 5000),
	} {
		t.Run(name, func(t *testing.T) {
			if ms, sub, ok := clock([]byte(raw)); ok {
				t.Errorf("clock(%.60s) = %d, %d, want it refused", raw, ms, sub)
			}
		})
	}
}
