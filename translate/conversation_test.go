package translate

import (
	"strings"
	"testing"
)

func TestTurnsHoldTheBlocksThatWereAddedToThem(t *testing.T) {
	var c Conversation
	c.Reset(Chat)
	c.BeginTurn(User, 0, false)
	c.Add(Block{Kind: KindText, Text: Text("a")})
	c.BeginTurn(Assistant, 1, true)
	c.Add(Block{Kind: KindText, Text: Text("b")})
	c.BeginTurn(Assistant, 2, true)
	c.Add(Block{Kind: KindToolCall, Text: Text("c")})
	c.BeginTurn(Assistant, 3, false)
	c.BeginTurn(User, 4, false)
	c.Add(Block{Kind: KindToolResult})
	c.AddPart(Block{Kind: KindText, Text: Text("d")})
	c.AddPart(Block{Kind: KindImage, Text: Text("e")})
	c.Add(Block{Kind: KindToolResult})
	c.Add(Block{Kind: KindToolResult})
	c.AddPart(Block{Kind: KindText, Text: Text("f")})

	var got []string
	for _, turn := range c.Turns {
		said := string('0' + rune(turn.Index))
		for _, b := range c.BlocksOf(turn) {
			said += string(b.Text) + "("
			for _, part := range c.PartsOf(&b) {
				said += string(part.Text)
			}
			said += ")"
		}
		got = append(got, said)
	}
	if got, want := strings.Join(got, " "), "0a() 1b()c() 3 4(de)()(f)"; got != want {
		t.Errorf("turns %q, want %q", got, want)
	}
}

func TestAResetConversationRemembersNothing(t *testing.T) {
	var c Conversation
	c.Reset(Chat)
	fill := func() {
		c.BeginTurn(User, 0, false)
		c.Add(Block{Kind: KindToolResult})
		c.AddPart(Block{Text: Text("secret")})
		c.Tools = append(c.Tools, Tool{Name: Text("secret")})
		c.Fields = append(c.Fields, Field{Name: "secret"})
		c.SendTool(&Tool{Name: Text("secret")}, Text("s"), false)
		c.Losses.Add("secret", Dropped, "")
		c.Own([]byte("secret"))
		c.MaxTokens = 1
	}
	fill()
	c.Reset(Messages)
	if c.Protocol != Messages || len(c.Turns)+len(c.Blocks)+len(c.Parts)+len(c.Tools)+len(c.Fields)+len(c.Losses)+len(c.names)+c.sent.Len()+len(c.own) > 0 || c.MaxTokens != 0 {
		t.Errorf("Reset left %+v", c)
	}
	if old := c.Parts[:1][0]; old.Text != nil {
		t.Errorf("a part of the request is still there: %s", old.Text)
	}
	if allocs := testing.AllocsPerRun(10, func() { fill(); c.Reset(Chat) }); allocs > 6 {
		t.Errorf("a conversation that is used again allocates %v times", allocs)
	}
}

func TestAHugeConversationIsNotKept(t *testing.T) {
	var c Conversation
	c.Reset(Chat)
	c.Blocks = make([]Block, maxReused+1)
	c.Own(make([]byte, 2*maxKept))
	c.Reset(Chat)
	if cap(c.Blocks) > 0 || cap(c.own) > 0 {
		t.Errorf("room for %d blocks and %d bytes is kept", cap(c.Blocks), cap(c.own))
	}
}

func TestOwnTextsStayWhereTheyAre(t *testing.T) {
	var c Conversation
	first := c.OwnString("a\"b")
	for range 1000 {
		c.Own([]byte("more"), []byte("and more"))
	}
	_ = append(first, '#')
	second := c.Own([]byte("x"))
	_ = append(second, '#')
	if third := c.Own([]byte("y")); string(first) != `a\"b` || string(second) != "x" || string(third) != "y" {
		t.Errorf("texts %s, %s, %s", first, second, third)
	}
}

func TestFlagsAreBooleans(t *testing.T) {
	for doc, want := range map[string]Flag{`true`: On, `false`: Off, `null`: Unset, ``: Unset, `"true"`: Unset, `1`: Unset} {
		if got := FlagOf(Value(doc)); got != want {
			t.Errorf("FlagOf(%s) = %v, want %v", doc, got, want)
		}
	}
}

func TestEffortsAreSpelledAlikeEverywhere(t *testing.T) {
	for e := EffortNone; e <= EffortMax; e++ {
		if got, ok := EffortOf(e.String()); got != e || !ok {
			t.Errorf("EffortOf(%s) = %v, %v", e, got, ok)
		}
	}
	for _, word := range []string{"", "High", "extreme"} {
		if got, ok := EffortOf(word); ok {
			t.Errorf("EffortOf(%q) = %v", word, got)
		}
	}
}

func TestCapabilitiesOfTheNearestPlaceWin(t *testing.T) {
	model := Capabilities{MaxOutputTokens: 1, Thinking: "budget", Prefill: new(false), Efforts: []string{}}
	provider := Capabilities{
		MaxOutputTokens: 2, Thinking: "both", Efforts: []string{"low"}, Reasons: new(true), Sampling: "one", ForcedTools: "never", MaxTools: 3,
		Prefill: new(true), JSONSchema: new(false), SystemTurns: new(true), Stop: new(false), ToolsWithReasoning: new(false),
	}
	got := model.Or(provider)
	if got.MaxOutputTokens != 1 || got.Thinking != "budget" || *got.Prefill || len(got.Efforts) != 0 {
		t.Errorf("Or took %+v from the provider", got)
	}
	if got.Sampling != "one" || got.ForcedTools != "never" || got.MaxTools != 3 || !*got.Reasons || *got.JSONSchema || !*got.SystemTurns || *got.Stop || *got.ToolsWithReasoning {
		t.Errorf("Or = %+v, want the rest of the provider's", got)
	}
}
