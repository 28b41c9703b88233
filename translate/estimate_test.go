package translate

import (
	"fmt"
	"testing"

	"github.com/tidwall/gjson"
)

func TestTmpEst(t *testing.T) {
	byPair := map[string]int64{}
	for _, kind := range []string{"response", "stream"} {
		for _, f := range fixtures(t, kind) {
			if f.protocol != Messages {
				continue
			}
			var u gjson.Result
			if kind == "response" {
				if n := gjson.GetBytes(f.body, "input_tokens"); n.Exists() {
					byPair[f.pair] = n.Int()
					continue
				}
				u = gjson.GetBytes(f.body, "usage")
			} else {
				var w Watcher
				w.Reset(Messages)
				i := 0
				for ; i < len(f.body) && w.Events() < 1; i++ {
					w.Write(f.body[i : i+1])
				}
				us, _ := w.Usage()
				byPair[f.pair] = us.Input + us.CacheRead + us.CacheWrite
				continue
			}
			if len(u.Get("iterations").Array()) > 1 {
				continue
			}
			byPair[f.pair] = u.Get("input_tokens").Int() + u.Get("cache_read_input_tokens").Int() + u.Get("cache_creation_input_tokens").Int()
		}
	}
	within, n := 0, 0
	for _, f := range fixtures(t, "request") {
		want, ok := byPair[f.pair]
		if !ok || want == 0 || f.protocol != Messages {
			continue
		}
		got := EstimateTokens(Messages, f.body)
		r := float64(got) / float64(want)
		n++
		if r > 0.75 && r < 1.25 {
			within++
		}
		fmt.Printf("%6d %6d %.2f %s %s\n", want, got, r, gjson.GetBytes(f.body, "model").Str, f.file[len(f.file)-80:])
	}
	fmt.Println(within, n)
}

func TestTmpOA(t *testing.T) {
	byPair := map[string]Usage{}
	for _, f := range fixtures(t, "response") {
		if u, ok := ReadUsage(f.protocol, f.body); ok {
			byPair[f.pair] = u
		}
	}
	for _, f := range fixtures(t, "stream") {
		var w Watcher
		w.Reset(f.protocol)
		w.Write(f.body)
		if u, ok := w.Usage(); ok {
			byPair[f.pair] = u
		}
	}
	for _, f := range fixtures(t, "request") {
		u, ok := byPair[f.pair]
		if !ok || f.protocol == Messages {
			continue
		}
		want := max(1, u.Input + u.CacheRead + u.CacheWrite)
		got := EstimateTokens(f.protocol, f.body)
		fmt.Printf("%6d %6d %.2f %s %s\n", want, got, float64(got)/float64(want), gjson.GetBytes(f.body, "model").Str, f.file)
	}
}
