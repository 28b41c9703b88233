package routing

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// Affinity remembers by which route and key each conversation was answered:
// prompt caches and encrypted reasoning belong to the account that made them. It
// is safe for concurrent use and bounded; what it forgets costs a cache, nothing
// else. The zero value remembers nothing yet.
type Affinity struct {
	shards [affinityShards]affinityShard
}

// place is where a conversation was answered.
type place struct {
	provider, model string
	keyID           string
	at              time.Time
}

type affinityShard struct {
	mu     sync.Mutex
	places map[uint64]place
}

const (
	affinityShards = 32
	// affinitySize is how many conversations a shard remembers; with the
	// shards, 131,072 in about 20 MiB.
	affinitySize = 4096
	// affinityTTL is how long a conversation is remembered after its last
	// request. No provider keeps a prompt cache for longer by default.
	affinityTTL = time.Hour
	// affinityFresh is how old a memory may be that is not written again.
	affinityFresh = time.Minute
)

// shard goes by the upper bits: the lowest one is always set, see
// [Request.conversation].
func (a *Affinity) shard(id uint64) *affinityShard { return &a.shards[id>>32%affinityShards] }

// find tells where a conversation was answered.
func (a *Affinity) find(id uint64, now time.Time) (place, bool) {
	s := a.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	p, known := s.places[id]
	return p, known && now.Sub(p.at) < affinityTTL
}

// keep remembers where a conversation was answered.
func (a *Affinity) keep(id uint64, p place) {
	s := a.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.places == nil {
		s.places = make(map[uint64]place)
	}
	if _, known := s.places[id]; !known && len(s.places) >= affinitySize {
		s.evict()
	}
	s.places[id] = p
}

// evict makes room: of a few conversations, which the map yields in random
// order, the one that has been silent for longest goes.
func (s *affinityShard) evict() {
	const sample = 8
	var oldest uint64
	var at time.Time
	n := 0
	for id, p := range s.places {
		if n == 0 || p.at.Before(at) {
			oldest, at = id, p.at
		}
		if n++; n == sample {
			break
		}
	}
	delete(s.places, oldest)
}

// conversation is which conversation a request belongs to, and where that was
// answered before. The zero value belongs to none.
type conversation struct {
	id    uint64 // 0: none
	known bool
	place place
}

// keyAt is the key that answered the conversation, if it is the candidate's
// provider's; "" otherwise.
func (c *conversation) keyAt(candidate *Candidate) string {
	if c.known && c.place.provider == candidate.route.Provider.ID {
		return c.place.keyID
	}
	return ""
}

// routeIn is the index of the route that answered the conversation, -1 if it is
// not there.
func (c *conversation) routeIn(routes []*Candidate, q *Request) int {
	if !c.known {
		return -1
	}
	for i, candidate := range routes {
		if candidate.route.Provider.ID == c.place.provider && candidate.upstreamModel(q) == c.place.model {
			return i
		}
	}
	return -1
}

// affinitySeed makes ids that nobody outside can aim at.
var affinitySeed = maphash.MakeSeed()

// conversationOf finds out which conversation a request belongs to.
func (r *Router) conversationOf(q *Request, now time.Time) conversation {
	if r.affinity == nil || q.Operation != translate.Generate {
		return conversation{}
	}
	id, goesOn := q.conversation()
	if id == 0 {
		return conversation{}
	}
	c := conversation{id: id}
	if goesOn {
		c.place, c.known = r.affinity.find(id, now)
	}
	return c
}

// remember notes that a conversation was answered by a candidate's key.
func (r *Router) remember(c conversation, by *Candidate, model, keyID string, now time.Time) {
	p := place{provider: by.route.Provider.ID, model: model, keyID: keyID, at: now}
	if c.id == 0 || c.known && now.Sub(c.place.at) < affinityFresh &&
		c.place.provider == p.provider && c.place.model == p.model && c.place.keyID == p.keyID {
		return
	}
	r.affinity.keep(c.id, p)
}

// sessionHeaders name a conversation: those of Claude Code, of Codex, and of
// opencode, by canonical names.
var sessionHeaders = [...]string{"X-Claude-Code-Session-Id", "Session-Id", "X-Session-Affinity", "X-Session-Id", "Thread-Id"}

// conversation identifies the request's conversation, by what the client says it
// is, else by how it begins; 0 if nothing does. goesOn says that there may have
// been requests of it before: a conversation that is told by its beginning is
// only known from its second turn on, because many begin alike.
//
// One client's conversations are no other's, and each model has its own: agents
// ask several in one session.
func (q *Request) conversation() (id uint64, goesOn bool) {
	var h maphash.Hash
	h.SetSeed(affinitySeed)
	h.WriteString(q.Client)
	h.WriteByte(0)
	h.WriteString(q.Model)
	h.WriteByte(0)
	for _, name := range sessionHeaders {
		if values := q.Header[name]; len(values) > 0 && values[0] != "" {
			h.WriteByte('h')
			h.WriteString(values[0])
			return h.Sum64() | 1, true
		}
	}
	if q.Object == nil {
		return 0, false
	}
	if key, _, sent := q.Object.Get("prompt_cache_key"); sent && len(key) > 2 && key[0] == '"' {
		h.WriteByte('k')
		h.Write(key)
		return h.Sum64() | 1, true
	}
	head, goesOn := q.head()
	if head == nil {
		return 0, false
	}
	h.WriteByte('m')
	h.Write(head[:min(len(head), maxHead)])
	return h.Sum64() | 1, goesOn
}

// maxHead is how much of a conversation's beginning tells it from others.
const maxHead = 8 << 10

// head is the first user message. goesOn says that something of the model's
// comes after it. No more of the request is read than that.
func (q *Request) head() (head rawjson.Value, goesOn bool) {
	name := "messages"
	if q.Protocol == translate.Responses {
		name = "input"
	}
	list, _, _ := q.Object.Get(name)
	if len(list) == 0 || list[0] != '[' {
		return list, false // a text: of one turn
	}
	for e := rawjson.Value(list).Elements(); e.Next(); {
		switch role := e.Value.Get("role").Text(); {
		case role.Is("user"):
			if head == nil {
				head = e.Value
			}
		case role.Is("system"), role.Is("developer"):
		default:
			return head, head != nil
		}
	}
	return head, false
}
