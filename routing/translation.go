package routing

import (
	"crypto/rand"
	"net/http"
	"time"

	"github.com/tidwall/sjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/crossing"
)

// source is the request that the candidate's turn starts from: the client's, or
// one with the tool results that a provider missed.
func (t *turn) source() *Request {
	if t.repaired != nil {
		return t.repaired
	}
	return t.walk.request
}

// prepare makes what the candidate is sent. In the client's own protocol that is
// the client's request; in another one it is a translation, made once for all
// keys.
func (t *turn) prepare() *failure {
	q := t.source()
	protocol := t.candidate.protocolFor(q)
	t.release(&t.translated)
	if protocol == q.Protocol {
		t.sent = q
		return t.prepareOwn()
	}
	target := t.target(protocol)
	body := NewBody(len(q.Body.Bytes()) + len(q.Body.Bytes())/8)
	request, e := crossing.Translate(body.bytes, q.Protocol, q.Body.Bytes(), &target)
	if e != nil {
		body.Release()
		if t.repair() {
			return t.prepare()
		}
		return &failure{class: InvalidRequest, err: *e}
	}
	if f := t.lose(request.Losses); f != nil {
		body.Release()
		return f
	}
	body.take(request.Body)
	sent := *q
	sent.Protocol, sent.Body, sent.Object, sent.Model = protocol, body, nil, t.model
	sent.ForceStream, sent.Beta = false, false
	sent.asked = t.asked(q, request.Asked)
	t.translated, t.sent = &sent, &sent
	return nil
}

// repair completes the tool calls without a result, where the provider's file
// wants that. A translation needs them, so it cannot wait for the provider to
// miss them.
func (t *turn) repair() bool {
	if t.repaired != nil || !t.candidate.route.Provider.autoFixes() {
		return false
	}
	repaired, changed := t.walk.request.withToolResults()
	if changed {
		t.repaired = repaired
	}
	return changed
}

// autoFixes reports whether a rule of error_handling asks for repairs.
func (p *Provider) autoFixes() bool {
	for _, rule := range p.ErrorHandling {
		if rule.Action == ActionAutoFixToolResponses {
			return true
		}
	}
	return false
}

// lose notes what of the request is lost. The failure is that of a request of
// which nothing may be.
func (t *turn) lose(losses translate.Losses) *failure {
	if len(losses) > 0 && t.onLossy() == LossyReject {
		return &failure{class: InvalidRequest, err: *lossRefused(losses[0])}
	}
	t.losses = losses
	return nil
}

// target is what the translation has to know about where it goes.
func (t *turn) target(protocol translate.Protocol) translate.Target {
	route := t.candidate.route
	return translate.Target{
		Protocol:     protocol,
		Provider:     route.Provider.ID,
		Model:        t.model,
		Quirks:       route.Provider.Quirks,
		Capabilities: route.CapabilitiesFor(t.model),
		ForceStream:  t.walk.request.ForceStream,
		RefuseHosted: t.walk.plan.model.HostedTools == HostedRefuse,
	}
}

// asked fills in what the way back depends on beside the request.
func (t *turn) asked(q *Request, asked *translate.Asked) *translate.Asked {
	asked.Nonce = rand.Text()[:24]
	asked.Now = time.Now().Unix()
	if t.walk.router.modelEcho == EchoRequested {
		asked.Model = t.walk.request.clientModel()
	}
	if q.Stream && q.Protocol == translate.Messages {
		// Agents show how full the window is from the first event on.
		asked.InputTokens = translate.EstimateTokens(q.Protocol, q.Body.Bytes())
	}
	return asked
}

// prepareOwn takes out of a request in the candidate's own protocol what only
// this gateway understands: an answer of another vendor carried its reasoning in
// an envelope, or a signature in the id of a call, and this one would refuse the
// request for it.
func (t *turn) prepareOwn() *failure {
	q := t.sent
	if f := t.loseBetas(q); f != nil {
		return f
	}
	if q.Operation == translate.Embed {
		return nil
	}
	clean, changed := crossing.Cleaned(nil, q.Protocol, q.Body.Bytes())
	if !changed {
		return nil
	}
	if crossing.CannotThink(q.Protocol, clean) {
		if f := t.lose(append(t.losses, thoughtless)); f != nil {
			return f
		}
		var err error
		if clean, err = sjson.SetRawBytes(clean, "thinking", []byte(`{"type":"disabled"}`)); err != nil {
			return &failure{class: Local, err: translate.Error{Message: "disabling thinking: " + err.Error()}}
		}
	}
	body := NewBody(0)
	body.take(clean)
	cleaned, err := q.withBody(body)
	if err != nil {
		body.Release()
		return &failure{class: Local, err: translate.Error{Message: "removing what another vendor signed: " + err.Error()}}
	}
	t.translated, t.sent = cleaned, cleaned
	return nil
}

// thoughtless is what a request loses that goes on with another vendor's tool
// calls.
var thoughtless = translate.Loss{
	Param:  "thinking",
	Action: translate.Dropped,
	Reason: "the model cannot go on thinking without its thoughts before the last tool call, which another one made",
}

// onLossy is what is done about losses: the model's word goes before the block's.
func (t *turn) onLossy() OnLossy {
	if m := t.walk.plan.model.OnLossy; m != "" {
		return m
	}
	return t.walk.router.onLossy
}

// lossRefused is the error of a request that would lose something where nothing
// may be lost.
func lossRefused(l translate.Loss) *translate.Error {
	e := translate.Refuse(l.Param, l.Reason)
	e.Message += " (on_lossy is reject: nothing is sent that would be " + string(l.Action) + ")"
	return e
}

// translated is a whole answer in the client's protocol.
func translated(whole *Body, asked *translate.Asked, response *http.Response) (*Body, *failure) {
	defer whole.Release()
	answer := NewBody(len(whole.bytes) + len(whole.bytes)/4)
	text, e := crossing.Answer(answer.bytes, asked, whole.bytes)
	if e != nil {
		answer.Release()
		return nil, broken(response, e.Message)
	}
	answer.take(text)
	return answer, nil
}
