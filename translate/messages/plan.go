package messages

import "github.com/caddy-llm-proxy/caddy-llm-proxy/translate"

// plan is how the turns of a conversation become messages, whose laws are:
//
//   - roles take turns, and the user begins;
//   - behind a message that calls tools comes one that begins with all their
//     results, in the order of the calls;
//   - there is no empty text and no empty message;
//   - no message ends with thinking, and the last one of the assistant not with
//     white space;
//   - ids of tool calls are unique.
//
// It only refers to the conversation, which stays as it is.
type plan struct {
	c *translate.Conversation
	t *translate.Target

	system   []piece // texts before the conversation
	messages []message
	pieces   []piece // those of all messages, in order
	waiting  []piece // texts of System turns whose place is not known yet
}

// message is pieces[from:to] of a plan.
type message struct {
	role     translate.Role
	from, to int
}

// piece is a block as it is sent.
type piece struct {
	// block is its index in the conversation; filler is one of no block.
	block int
	// quoted says that it is an instruction within what the user says.
	quoted bool
	// trimmed says that white space at its end goes.
	trimmed bool
}

// filler is a piece that says nothing, where something has to be said.
const filler = -1

// make plans the messages of a conversation for a target.
func (p *plan) make(c *translate.Conversation, t *translate.Target) *translate.Error {
	p.reset()
	p.c, p.t = c, t
	if e := c.Pair(); e != nil {
		return e
	}
	leading := true
	for i := range c.Turns {
		turn := &c.Turns[i]
		leading = leading && turn.Role == translate.System
		if e := p.turn(turn, leading); e != nil {
			return e
		}
	}
	p.settle(translate.Assistant)
	p.answer()
	if len(p.messages) == 0 {
		if len(p.system) == 0 {
			return translate.Refuse(c.Param(translate.SettingTurns), "must hold at least one message")
		}
		p.fill()
	}
	p.trimEnd()
	return nil
}

func (p *plan) reset() {
	p.system, p.messages, p.pieces = p.system[:0], p.messages[:0], p.pieces[:0]
	p.waiting = p.waiting[:0]
}

// turn plans the blocks of a turn.
func (p *plan) turn(turn *translate.Turn, leading bool) *translate.Error {
	said := false // something of it can be read
	var hosted *translate.Block
	for i := turn.From; i < turn.To; i++ {
		b := &p.c.Blocks[i]
		switch b.Kind {
		case translate.KindText, translate.KindRefusal:
			if b.Text.Blank() {
				continue
			}
			said = true
			switch {
			case turn.Role != translate.System:
				p.add(turn.Role, piece{block: i})
			case leading:
				p.system = append(p.system, piece{block: i})
			default:
				p.waiting = append(p.waiting, piece{block: i})
			}
		case translate.KindThinking:
			if turn.Role == translate.Assistant && p.returns(b) {
				p.add(turn.Role, piece{block: i})
			}
		case translate.KindHosted:
			hosted = b
		case translate.KindForeign:
			return translate.Refuse(p.c.At(turn.Index, -1), b.Type.String()+" has no counterpart in Messages")
		default:
			if e := p.media(turn, i, b); e != nil {
				return e
			}
		}
	}
	if hosted != nil && !said {
		p.c.Losses.Add(p.c.Param(translate.SettingTurns)+"."+hosted.Type.String(), translate.Dropped,
			"only the vendor that ran it can read it")
	}
	return nil
}

// media plans a block that only one role may have.
func (p *plan) media(turn *translate.Turn, i int, b *translate.Block) *translate.Error {
	role := translate.User
	if b.Kind == translate.KindToolCall {
		role = translate.Assistant
	}
	if turn.Role != role {
		return translate.Refuse(p.c.At(turn.Index, -1), "holds something that Messages does not take from this role")
	}
	if b.Kind == translate.KindToolResult {
		// It stands right behind its call, wherever it came.
		p.answer()
		return nil
	}
	p.add(role, piece{block: i})
	return nil
}

// returns reports whether a thinking block goes back to where it came from. A
// model that does not think may not get it.
func (p *plan) returns(b *translate.Block) bool {
	if b.Sealer == "" || b.Sealer != p.t.Provider || p.c.Thinking.Mode == translate.ThinkingOff {
		return false
	}
	kind := b.Seal.Get("type").Text()
	return string(kind) == "thinking" || string(kind) == "redacted_thinking"
}

// add plans a piece for the next message of a role.
func (p *plan) add(role translate.Role, next piece) {
	p.settle(role)
	p.begin(role)
	p.append(next)
}

// append adds a piece to the last message.
func (p *plan) append(next piece) {
	p.pieces = append(p.pieces, next)
	p.messages[len(p.messages)-1].to = len(p.pieces)
}

// begin makes sure that the last message is one of a role.
func (p *plan) begin(role translate.Role) {
	if p.last() != role {
		p.answer()
	}
	if len(p.messages) == 0 && role == translate.Assistant {
		p.fill()
	}
	if p.last() != role {
		p.messages = append(p.messages, message{role: role, from: len(p.pieces), to: len(p.pieces)})
	}
}

// fill begins the conversation with a message that says nothing.
func (p *plan) fill() {
	p.c.Lose(translate.SettingTurns, translate.Changed, "a conversation begins with the user")
	p.messages = append(p.messages, message{role: translate.User})
	p.append(piece{block: filler})
}

// last is the role of the last message, and no role at all before the first.
func (p *plan) last() translate.Role {
	if len(p.messages) == 0 {
		return noRole
	}
	return p.messages[len(p.messages)-1].role
}

const noRole = translate.Role(0xFF)

// answer ends the last message if it is the assistant's, and begins the next one
// with the results of its tool calls.
func (p *plan) answer() {
	if p.last() != translate.Assistant {
		return
	}
	m := &p.messages[len(p.messages)-1]
	for m.to > m.from && p.kind(m.to-1) == translate.KindThinking {
		m.to-- // its answer is missing, and it may not be the last
	}
	from, to := m.from, m.to
	p.pieces = p.pieces[:to]
	if from == to {
		p.messages = p.messages[:len(p.messages)-1]
		return
	}
	for i := from; i < to; i++ {
		if p.kind(i) != translate.KindToolCall {
			continue
		}
		if p.last() == translate.Assistant {
			p.messages = append(p.messages, message{role: translate.User, from: to, to: to})
		}
		p.append(piece{block: p.c.Partner(p.pieces[i].block)})
	}
}

// kind is that of the block of piece i.
func (p *plan) kind(i int) translate.Kind {
	if block := p.pieces[i].block; block != filler {
		return p.c.Blocks[block].Kind
	}
	return translate.KindText
}

// settle finds a place for the instructions that stand between what has been
// planned and what comes next: a message of that role, where Assistant also
// stands for the end. They are a message of their own where the model takes one,
// which is between the user's and the assistant's, and else part of what the
// user says.
func (p *plan) settle(next translate.Role) {
	if len(p.waiting) == 0 {
		return
	}
	waiting := p.waiting
	p.waiting = p.waiting[:0]
	p.answer()
	role := translate.System
	if next != translate.Assistant || p.last() != translate.User ||
		!translate.Allows(p.t.Capabilities.SystemTurns, false) {
		role = translate.User
		p.c.Losses.Add(p.c.Param(translate.SettingTurns)+".role", translate.Changed,
			"instructions between the turns are sent as words of the user")
	}
	p.begin(role)
	for _, w := range waiting {
		w.quoted = role == translate.User
		p.append(w)
	}
}

// trimEnd cuts the white space with which the assistant's last words end: the
// model would not go on from there.
func (p *plan) trimEnd() {
	if last := len(p.pieces) - 1; p.last() == translate.Assistant && p.kind(last) != translate.KindToolCall {
		p.pieces[last].trimmed = true
	}
}
