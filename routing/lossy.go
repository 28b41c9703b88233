package routing

// OnLossy is what is done about a request of which something cannot cross from
// the client's protocol to the upstream's.
type OnLossy string

// The values of on_lossy.
const (
	// LossyWarn sends the rest and names the loss to the client, in the header
	// Llm-Proxy-Warnings. This is the default.
	LossyWarn OnLossy = "warn"
	// LossyReject refuses the request.
	LossyReject OnLossy = "reject"
	// LossyIgnore sends the rest and says nothing to the client.
	LossyIgnore OnLossy = "ignore"
)

// HostedTools is what is done about tools that only their own vendor can run, in
// a request that is translated for another one.
type HostedTools string

// The values of hosted_tools.
const (
	// HostedDrop leaves them out, which is a loss. This is the default.
	HostedDrop HostedTools = "drop"
	// HostedRefuse refuses the request.
	HostedRefuse HostedTools = "refuse"
)

// ModelEcho is which name of the model a translated answer bears.
type ModelEcho string

// The values of model_echo.
const (
	// EchoUpstream is the name that the provider's answer bears. This is the
	// default.
	EchoUpstream ModelEcho = "upstream"
	// EchoRequested is the name that the client asked for.
	EchoRequested ModelEcho = "requested"
)
