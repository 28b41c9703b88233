// Package config holds the provider and model files that ship with the gateway,
// so that the binary can write them wherever it is.
package config

import "embed"

// Files are the shipped files: providers/<name>.json and models/<name>.json.
//
//go:embed providers/*.json models/*.json
var Files embed.FS
