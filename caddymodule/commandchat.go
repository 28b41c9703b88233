package caddymodule

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
)

const (
	// maxChatLine is the longest line that a person, or a script, may say.
	maxChatLine = 1 << 20
	// maxChatEvent is the longest event of an answer.
	maxChatEvent = 16 << 20
	// maxChatRefusal is how much of an error is read.
	maxChatRefusal = 64 << 10
)

func chatCommand() *cobra.Command {
	var endpoint, system string
	cmd := &cobra.Command{
		Use:   "chat <model> [--url <url>] [--system <text>]",
		Short: "Talks with a model through the running gateway",
		Long: `Talks with a model through the running gateway, as a client of Chat Completions
does: each line is one thing that you say, and the answer appears as it comes.
Ctrl+D ends the conversation.

The client key is that of the variable CLIENT_API_KEY. Without a terminal the
lines of the standard input are said one after the other; the first one that is
not answered ends the conversation with exit code 1. With --json each answer is
one line of JSON.`,
		Args: justOne("a model"),
	}
	cmd.Flags().VarP(aURL(&endpoint), "url", "u", "Where the gateway serves (default \"http://127.0.0.1:9876\", or as LLM_HOST and LLM_PORT say)")
	cmd.Flags().StringVar(&system, "system", "", "Instructions for the model, before the conversation")
	addEnvFileFlag(cmd)
	addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, arguments []string) error {
		vars, err := readVariables(cmd)
		if err != nil {
			return err
		}
		c := &conversation{
			cmd: cmd, model: arguments[0], key: vars.get(clientKeyVariable),
			url:    strings.TrimSuffix(cmp.Or(endpoint, vars.gatewayURL()), "/") + "/v1/chat/completions",
			output: newOutput(cmd),
			client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		}
		if system != "" {
			c.said = append(c.said, chatMessage{"system", system})
		}
		return c.talk(isTerminal(cmd.InOrStdin()))
	}
	return cmd
}

// conversation is what a person and a model have said so far.
type conversation struct {
	cmd             *cobra.Command
	model, key, url string
	output          *output
	client          *http.Client
	said            []chatMessage
}

type chatMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// chatReply is one answer, as --json prints it.
type chatReply struct {
	RequestID string `json:"request_id"`
	Provider  string `json:"provider"`
	// Model is the one that the provider was asked for.
	Model        string          `json:"model"`
	Content      string          `json:"content"`
	FinishReason string          `json:"finish_reason"`
	Usage        json.RawMessage `json:"usage,omitempty"`
}

// talk reads lines and prints answers until the lines end. A person may go on
// after an error.
func (c *conversation) talk(person bool) error {
	lines := bufio.NewScanner(c.cmd.InOrStdin())
	lines.Buffer(nil, maxChatLine)
	prompt := func() {
		if person {
			fmt.Fprint(c.cmd.ErrOrStderr(), "> ")
		}
	}
	for prompt(); lines.Scan(); prompt() {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		err := c.say(c.cmd.Context(), line)
		if err == nil {
			continue
		}
		if !person {
			return err
		}
		c.cmd.PrintErrln("Error: " + escapeLines(err.Error()))
	}
	if person {
		c.cmd.PrintErrln()
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading what you say: %w", err)
	}
	return nil
}

// say says one thing. What is not answered is forgotten.
func (c *conversation) say(ctx context.Context, line string) error {
	said := append(c.said, chatMessage{"user", line})
	reply, err := c.ask(ctx, said)
	if err != nil {
		return err
	}
	c.said = append(said, chatMessage{"assistant", reply.Content})
	if !c.output.json {
		return c.write("\n")
	}
	encoder := json.NewEncoder(&escapingJSON{&c.output.Buffer})
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(reply); err != nil {
		return err
	}
	defer c.output.Reset()
	return c.output.flush(c.cmd)
}

func (c *conversation) ask(ctx context.Context, said []chatMessage) (*chatReply, error) {
	body, err := json.Marshal(map[string]any{
		"model": c.model, "messages": said, "stream": true,
		"stream_options": map[string]bool{"include_usage": true},
	})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking the gateway: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	if c.key != "" {
		request.Header.Set("Authorization", "Bearer "+c.key)
	}
	response, err := c.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the gateway: %w; start it with caddy llm-proxy start, or say with --url where it serves", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, c.refusal(response)
	}
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		return nil, fmt.Errorf("%s answers with something that is no stream; is it the gateway?", c.url)
	}
	return c.listen(response)
}

// refusal tells why there is no answer.
func (c *conversation) refusal(response *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxChatRefusal))
	message := gjson.GetBytes(body, "error.message").String()
	switch {
	case !gjson.ValidBytes(body) || message == "":
		return fmt.Errorf("%s answers with status %d; is it the gateway?", c.url, response.StatusCode)
	case response.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("the gateway says: %s; set %s to the key that its Caddyfile takes", message, clientKeyVariable)
	case response.StatusCode == http.StatusNotFound:
		return fmt.Errorf("the gateway says: %s; llm-proxy config list shows the models", message)
	}
	return fmt.Errorf("the gateway says: %s (status %d); llm-proxy plan %s shows what it would try", message, response.StatusCode, c.model)
}

// listen prints an answer as it comes.
func (c *conversation) listen(response *http.Response) (*chatReply, error) {
	reply := &chatReply{
		RequestID: response.Header.Get("X-Request-Id"),
		Provider:  response.Header.Get("Llm-Proxy-Provider"),
		Model:     response.Header.Get("Llm-Proxy-Model"),
	}
	var content strings.Builder
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, maxChatEvent)
	for lines.Scan() {
		data, isData := strings.CutPrefix(lines.Text(), "data:")
		if !isData {
			continue
		}
		if data = strings.TrimSpace(data); data == "[DONE]" {
			reply.Content = content.String()
			return reply, nil
		}
		event := gjson.Parse(data)
		if e := event.Get("error"); e.IsObject() {
			return nil, c.brokenOff(&content, "the answer broke off: "+e.Get("message").String())
		}
		piece := event.Get("choices.0.delta.content").String() + event.Get("choices.0.delta.refusal").String()
		content.WriteString(piece)
		if reason := event.Get("choices.0.finish_reason").String(); reason != "" {
			reply.FinishReason = reason
		}
		if usage := event.Get("usage"); usage.IsObject() {
			reply.Usage = json.RawMessage(usage.Raw)
		}
		if !c.output.json && piece != "" {
			if err := c.write(escapeLines(piece)); err != nil {
				return nil, err
			}
		}
	}
	reason := "the answer broke off"
	if err := lines.Err(); err != nil {
		reason += ": " + err.Error()
	}
	return nil, c.brokenOff(&content, reason)
}

// brokenOff is an error that stands on a line of its own.
func (c *conversation) brokenOff(content *strings.Builder, reason string) error {
	if content.Len() > 0 && !c.output.json {
		if err := c.write("\n"); err != nil {
			return err
		}
	}
	return errors.New(reason)
}

// write prints a text that is safe already.
func (c *conversation) write(text string) error {
	if _, err := io.WriteString(c.cmd.OutOrStdout(), text); err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	return nil
}
