package routing

import "github.com/caddy-llm-proxy/caddy-llm-proxy/translate"

// textPerToken is how many bytes of text a token stands for on average, where only
// the bytes are known: 4 of English, of which JSON escapes hardly any.
const textPerToken = 4

// Usage is what the upstream has counted, so far for a stream. known is false while
// it has said nothing. It is not to be called after Close.
func (a *Answer) Usage() (u translate.Usage, known bool) {
	if a.settled {
		return a.spent, true
	}
	if a.Stream != nil {
		return a.Stream.Usage()
	}
	return translate.ReadUsage(a.protocol, a.Whole.Bytes())
}

// Settle says what the answer has used in the end: what the upstream has counted,
// and else an estimate. It is called once, when all of the answer that the client
// gets has been read, and before Close, which charges the key with the same.
//
// read is an estimate of what the request made the model read, for upstreams that do
// not tell it. What the model wrote is estimated by the text that has come, where the
// stream ended before its usage came. No usage is 0 on both sides: servers that do not
// count write that, too.
func (a *Answer) Settle(read int64) (u translate.Usage, estimated bool) {
	u, _ = a.Usage()
	whole := a.Stream == nil || a.Stream.watcher.Complete()
	if u.Input+u.CacheRead+u.CacheWrite == 0 {
		u.Input, estimated = read, true
	}
	if wrote := u.Output + u.Reasoning; !whole || wrote == 0 {
		// What a stream told before it broke is what it had begun with.
		if text := a.written(); !whole || text > 0 {
			estimated = true
			u.Output += max(text-wrote, 0)
		}
	}
	a.spent, a.settled = u, true
	return u, estimated
}

// written estimates how many tokens the answer's text has, as far as it has come.
func (a *Answer) written() int64 {
	text := int64(0)
	switch {
	case a.Stream != nil:
		text = a.Stream.watcher.Text()
	case a.operation == translate.Generate:
		text = translate.TextOf(a.protocol, a.Whole.Bytes())
	}
	return (text + textPerToken - 1) / textPerToken
}

// Prices are those of the model that answered, nil where they are not known.
func (a *Answer) Prices() *Prices { return a.candidate.pricesOf(a.Model) }
