//go:build !unix

package routing

import "errors"

func makeFIFO(string) error { return errors.ErrUnsupported }
