package caddymodule

import (
	"encoding/json"
	"fmt"
	"strings"
)

// stormRequest is a client's request: a third in each protocol, half of them for
// a stream.
func stormRequest(number int) (d dialect, body string, streamed bool) {
	d = dialects[number%len(dialects)]
	streamed = number/len(dialects)%2 == 0
	body = strings.Replace(d.streamed, `"hi"`, fmt.Sprintf(`"number %d"`, number), 1)
	if !streamed {
		body = strings.Replace(body, `"stream":true,`, "", 1)
	}
	return d, body, streamed
}

// end is how a request ended for its client.
type end string

const (
	endedWell   end = "answered"
	endedFailed end = "failed"
	endedLying  end = "neither answered nor failed"
)

// endOf reads an answer as a client of the protocol does.
func (d dialect) endOf(got response, number int, streamed bool) end {
	if got.status == 200 && streamed {
		switch seen := d.view(got.body); {
		case got.err == nil && seen == view{text: stormText(number), finished: true}:
			return endedWell
		case seen.failed && !seen.finished:
			return endedFailed
		}
		return endedLying
	}
	var object map[string]any
	if got.err != nil || json.Unmarshal([]byte(got.body), &object) != nil {
		return endedLying
	}
	switch d.name {
	case "chat":
		return wholeEnd(got, textAt(object, "choices", 0, "message", "content"), textAt(object, "error", "message"), number)
	case "messages":
		return wholeEnd(got, textAt(object, "content", 0, "text"), textAt(object, "error", "message"), number)
	}
	return wholeEnd(got, textAt(object, "output", 0, "content", 0, "text"), textAt(object, "error", "message"), number)
}

func wholeEnd(got response, text, message string, number int) end {
	switch {
	case got.status == 200 && text == stormText(number) && message == "" && strings.Count(got.body, text) == 1:
		return endedWell
	case got.status >= 400 && message != "" && text == "":
		return endedFailed
	}
	return endedLying
}
