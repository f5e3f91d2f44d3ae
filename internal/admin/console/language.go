package console

import (
	"strconv"
	"strings"
)

// prefersChinese reads Accept-Language (RFC 9110 §12.5.4): does any kind of Chinese stand before English?
func prefersChinese(header string) bool {
	weight := map[string]float64{}
	for one := range strings.SplitSeq(header, ",") {
		tag, parameters, _ := strings.Cut(one, ";")
		tag, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		q := 1.0
		if text, ok := strings.CutPrefix(strings.ReplaceAll(parameters, " ", ""), "q="); ok {
			var err error
			if q, err = strconv.ParseFloat(text, 64); err != nil {
				q = 0
			}
		}
		weight[tag] = max(weight[tag], q)
	}
	return weight["zh"] > weight["en"]
}
