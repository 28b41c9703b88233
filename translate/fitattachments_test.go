package translate

import (
	"strings"
	"testing"
)

func TestModelsThatCannotSeeAreToldThatThereWasSomething(t *testing.T) {
	image := Block{Kind: KindImage, Source: Source{Base64: Text("AAAA")}, Cache: Cache5m}
	file := Block{Kind: KindDocument, Name: Text("a.pdf"), Source: Source{Base64: Text("JVBERi0x")}}
	unnamed := Block{Kind: KindDocument, Source: Source{FileID: Text("f")}}
	plain := Block{Kind: KindDocument, Name: Text("T"), Context: Text("C"), Source: Source{Plain: Text("P")}}
	for _, tc := range []struct {
		capabilities Capabilities
		want         string
		losses       string
	}{
		{Capabilities{}, "|||", ""},
		{Capabilities{Images: new(true), Documents: new(true)}, "|||", ""},
		{
			Capabilities{Images: new(false)},
			"[image: the model cannot see it]|||",
			"param=messages.content.image;action=dropped",
		},
		{
			Capabilities{Documents: new(false)},
			`|[file a.pdf: the model cannot read it]|[file: the model cannot read it]|T\n\nC\n\nP`,
			"param=messages.content.document;action=dropped",
		},
	} {
		for _, p := range []Protocol{Chat, Responses, Messages} {
			c := asked(Chat)
			c.Add(Block{Kind: KindToolCall, ID: Text("c")})
			c.Add(Block{Kind: KindToolResult, ID: Text("c")})
			first := len(c.Blocks)
			for _, b := range []Block{image, file, unnamed, plain} {
				c.AddPart(b)
			}
			for _, b := range []Block{image, file, unnamed, plain} {
				c.Add(b)
			}
			fit(t, c, p, tc.capabilities)
			for _, blocks := range [][]Block{c.Blocks[first:], c.Parts} {
				var texts []string
				for _, b := range blocks {
					texts = append(texts, string(b.Text))
					if isText := len(b.Text) > 0; isText != (b.Kind == KindText) {
						t.Errorf("a block of kind %d has the text %q", b.Kind, b.Text)
					}
				}
				if got := strings.Join(texts, "|"); got != tc.want {
					t.Errorf("for %s: texts %q, want %q", p, got, tc.want)
				}
				if blocks[0].Cache != Cache5m {
					t.Errorf("for %s: the breakpoint is gone", p)
				}
			}
			if got := losses(c); got != tc.losses {
				t.Errorf("for %s: losses %q, want %q", p, got, tc.losses)
			}
		}
	}
}
