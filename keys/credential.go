package keys

import "strings"

// Problem says why a request presents no credential.
type Problem int

// All problems there are.
const (
	ProblemNone      Problem = iota // there is a credential, right or wrong
	ProblemMissing                  // no header carries one
	ProblemAmbiguous                // a header is there more than once
)

// String returns none, missing or ambiguous.
func (p Problem) String() string {
	switch p {
	case ProblemMissing:
		return "missing"
	case ProblemAmbiguous:
		return "ambiguous"
	default:
		return "none"
	}
}

// Credential returns the key that a request presents, from all its values of the
// Authorization and of the X-Api-Key header.
//
// Authorization goes first: a key after any number of "Bearer" in any case, or the
// bare key. X-Api-Key, which holds the bare key, is only looked at if Authorization
// is absent or empty, as a "Bearer" without a key is; a wrong key in the first is
// not made good by a right one in the second. Of a header that is there more than
// once no value counts: proxies differ in which one they take, and whoever is let in
// must be whom the others saw too.
func Credential(authorization, xAPIKey []string) (credential string, problem Problem) {
	if len(authorization) > 1 {
		return "", ProblemAmbiguous
	}
	if len(authorization) == 1 {
		if token := bearerToken(authorization[0]); token != "" {
			return token, ProblemNone
		}
	}
	if len(xAPIKey) > 1 {
		return "", ProblemAmbiguous
	}
	if len(xAPIKey) == 1 {
		if key := strings.TrimSpace(xAPIKey[0]); key != "" {
			return key, ProblemNone
		}
	}
	return "", ProblemMissing
}

// bearerToken returns value without white space around it and without any "Bearer"
// before it. Some clients add the scheme to a key that has it already.
func bearerToken(value string) string {
	const scheme = "bearer"
	for {
		value = strings.TrimSpace(value)
		if len(value) < len(scheme) || !strings.EqualFold(value[:len(scheme)], scheme) {
			return value
		}
		rest := value[len(scheme):]
		if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
			return value // a key that happens to begin like this
		}
		value = rest
	}
}
