package messages

import "github.com/caddy-llm-proxy/caddy-llm-proxy/translate"

// searchVersion is the vendor's own search of the web, in the version that all
// models have.
const searchVersion = "web_search_20250305"

// searchTool is what it is called.
var searchTool = translate.Text("web_search")

// search writes OpenAI's search of the web as Anthropic's. How much of what is
// found the model reads cannot be told here, and is only about cost.
func (w *body) search(tool *translate.Tool) {
	w.searches = true
	w.raw(`,"type":"` + searchVersion + `"`)
	for m := tool.Raw.Members(); m.Next(); {
		if m.Value.IsEmpty() {
			continue
		}
		switch string(m.Name) {
		case "filters":
			for f := m.Value.Members(); f.Next(); {
				if name := string(f.Name); (name == "allowed_domains" || name == "blocked_domains") && !f.Value.IsEmpty() {
					w.raw(`,"` + name + `":`)
					w.dst = append(w.dst, f.Value...)
				}
			}
		case "user_location":
			w.raw(`,"user_location":`)
			w.dst = append(w.dst, m.Value...)
		}
	}
}
