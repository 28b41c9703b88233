package keys

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Client is one caller of the gateway.
type Client struct {
	Name string

	// The first 16 hex digits of SHA-256 over the client's key: tells keys apart in
	// logs without showing them.
	Hash string
}

// Clients authenticates callers. It keeps hashes, no keys. Build it with
// [NewClients] and [Clients.Add]; from then on it never changes, and [Clients.Lookup]
// is safe for concurrent use.
type Clients struct {
	byName map[string]*Client

	// By the first bytes of the key's hash. A map does not compare in constant
	// time, so it only narrows the search; the rest of the hash decides.
	byPrefix map[[8]byte][]identity
}

// identity is a client and what its key hashes to.
type identity struct {
	sum    [sha256.Size]byte
	client *Client
}

// NewClients returns a Clients that knows nobody.
func NewClients() *Clients {
	return &Clients{
		byName:   make(map[string]*Client),
		byPrefix: make(map[[8]byte][]identity),
	}
}

// Add makes a caller known by its key, less any white space around it. It refuses a
// name or a key that is empty or already taken, and keys that no caller could ever
// present: those with control characters and those that begin with "Bearer".
// Errors show no key.
func (c *Clients) Add(name, key string) error {
	key = strings.TrimSpace(key)
	if name == "" {
		return errors.New("adding client: name is empty")
	}
	if c.byName[name] != nil {
		return fmt.Errorf("adding client %q: name is already taken", name)
	}
	if key == "" {
		return fmt.Errorf("adding client %q: key is empty", name)
	}
	if strings.ContainsFunc(key, unicode.IsControl) {
		return fmt.Errorf("adding client %q: key contains a control character", name)
	}
	if bearerToken(key) != key {
		return fmt.Errorf("adding client %q: key begins with \"Bearer\", which belongs to the header", name)
	}
	if other, ok := c.Lookup(key); ok {
		return fmt.Errorf("adding client %q: key is already that of client %q", name, other.Name)
	}
	sum := hashed(key)
	client := &Client{Name: name, Hash: hex.EncodeToString(sum[:8])}
	c.byName[name] = client
	prefix := [8]byte(sum[:8])
	c.byPrefix[prefix] = append(c.byPrefix[prefix], identity{sum, client})
	return nil
}

// Len returns the number of clients.
func (c *Clients) Len() int { return len(c.byName) }

// Names returns the names of all clients, sorted.
func (c *Clients) Names() []string { return slices.Sorted(maps.Keys(c.byName)) }

// Lookup returns the client whose key the credential is. How long that takes tells
// nothing about how close a wrong credential came, and nothing of it is kept. It does
// not allocate for credentials up to 512 bytes.
func (c *Clients) Lookup(credential string) (*Client, bool) {
	sum := hashed(credential)
	for _, id := range c.byPrefix[[8]byte(sum[:8])] {
		if subtle.ConstantTimeCompare(id.sum[:], sum[:]) == 1 {
			return id.client, true
		}
	}
	return nil, false
}

// hashed returns SHA-256 over a key. Going through an array on the stack saves the
// allocation that a conversion of more than 32 bytes costs.
func hashed(key string) [sha256.Size]byte {
	var buffer [512]byte
	return sha256.Sum256(append(buffer[:0], key...))
}
