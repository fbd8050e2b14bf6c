package call

import "slices"

// Proof says how a principal was authenticated.
type Proof string

// The ways of proof.
const (
	// ProofNone is the zero value: nothing was proved.
	ProofNone Proof = ""
	// ProofToken is a signed or introspected token.
	ProofToken Proof = "token"
	// ProofAPIKey is an API key.
	ProofAPIKey Proof = "api_key"
	// ProofCertificate is a client certificate.
	ProofCertificate Proof = "certificate"
)

// Principal is who is calling, after authentication. It is shared by the policies of a call: do not change one that a
// call holds already.
type Principal struct {
	// Subject names the caller, uniquely within its issuer.
	Subject string
	// Issuer says who vouches for the subject; empty for keys that the gateway itself knows.
	Issuer string
	// Tenant is the customer the caller acts for; may be empty.
	Tenant string
	// Scopes are the permissions that the proof carries.
	Scopes []string
	// Claims are the remaining statements of a token, as decoded from its JSON.
	Claims map[string]any
	// Proof is how the caller proved who it is.
	Proof Proof
}

// HasScope tells whether the principal carries a scope. A nil principal carries none.
func (p *Principal) HasScope(scope string) bool {
	if p == nil {
		return false
	}
	return slices.Contains(p.Scopes, scope)
}
