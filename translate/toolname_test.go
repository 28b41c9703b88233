package translate

import (
	"regexp"
	"strings"
	"testing"
)

func TestToolNamesAreFitForTheProtocol(t *testing.T) {
	long := strings.Repeat("n", 100)
	for _, tc := range []struct {
		protocol        Protocol
		namespace, name string
		want            string // a pattern
	}{
		{Chat, "", "get_weather-2", `get_weather-2`},
		{Messages, "", long, long},
		{Chat, "", long, `n{55}_[0-9a-f]{8}`},
		{Messages, "", long + long, `n{119}_[0-9a-f]{8}`},
		{Responses, "agents", "spawn", `agents__spawn`},
		{Chat, "", "web.search", `web_search_[0-9a-f]{8}`},
		{Chat, "", `caf\u00e9`, `caf___[0-9a-f]{8}`},
		{Chat, "", "", `_[0-9a-f]{8}`},
	} {
		var c Conversation
		got := string(c.SentName(tc.protocol, Text(tc.namespace), Text(tc.name)))
		if !regexp.MustCompile(`^` + tc.want + `$`).MatchString(got) {
			t.Errorf("SentName(%s, %s, %s) = %s, want %s", tc.protocol, tc.namespace, tc.name, got, tc.want)
		}
		if again := string(c.SentName(tc.protocol, Text(tc.namespace), Text(tc.name))); again != got {
			t.Errorf("SentName = %s, and then %s", got, again)
		}
	}
}

func TestNamesThatDifferStayDifferent(t *testing.T) {
	var c Conversation
	seen := map[string]string{}
	for _, name := range []string{"a.b", "a_b", "a-b", "a:b", "a b", strings.Repeat("a", 64), strings.Repeat("a", 65), strings.Repeat("a", 66)} {
		sent := string(c.SentName(Chat, nil, Text(name)))
		if other, ok := seen[sent]; ok {
			t.Errorf("%s and %s both became %s", name, other, sent)
		}
		seen[sent] = name
	}
}

func TestAnswersToldOnlyWhatTheToolsWereSentAs(t *testing.T) {
	var c Conversation
	c.Reset(Responses)
	plain, spaced, custom := Tool{Name: Text("f")}, Tool{Name: Text("g"), Namespace: Text("ns")}, Tool{Name: Text("p"), Kind: CustomTool}
	c.SendTool(&plain, Text("f"), false)
	c.SendTool(&plain, Text("f_1"), false)
	c.SendTool(&spaced, Text("ns__g"), false)
	c.SendTool(&custom, Text("p"), true)
	want := []ToolName{
		{Sent: "f_1", Name: "f"},
		{Sent: "ns__g", Name: "g", Namespace: "ns"},
		{Sent: "p", Name: "p", Custom: true, Wrapped: true},
	}
	asked := c.Asked()
	if len(asked.Names) != len(want) {
		t.Fatalf("Names = %v, want %v", asked.Names, want)
	}
	for i, name := range asked.Names {
		if name != want[i] {
			t.Errorf("Names[%d] = %v, want %v", i, name, want[i])
		}
	}
	if !c.Sent(Text("ns__g")) || !c.Sent(Text("f")) || c.Sent(Text("g")) {
		t.Error("Sent does not know which names are taken")
	}
	if got := asked.nameOf(Text(`ns_\u005fg`)); got == nil || got.Name != "g" {
		t.Errorf("nameOf = %v", got)
	}
}

func TestWhatIsAskedOutlivesTheRequest(t *testing.T) {
	var c Conversation
	c.Reset(Responses)
	body := []byte("name")
	c.SendTool(&Tool{Name: body, Namespace: body}, Text("sent"), false)
	c.Echo = append(c.Echo, `"tools":[],`...)
	asked := c.Asked()
	copy(body, "####")
	c.Reset(Chat)
	c.Echo = append(c.Echo, "###########"...)
	c.SendTool(&Tool{Name: body, Namespace: body}, Text("other"), false)
	if asked.Names[0] != (ToolName{Sent: "sent", Name: "name", Namespace: "name"}) || string(asked.Echo) != `"tools":[],` {
		t.Errorf("Asked = %+v", asked)
	}
}
