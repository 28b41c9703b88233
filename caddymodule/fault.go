package caddymodule

import (
	"fmt"
	"net/http"
	goruntime "runtime"
	"runtime/debug"

	"go.uber.org/zap"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// recover keeps a fault of ours from taking more than this request with it.
// After the answer has begun the connection is cut: nothing may look whole.
func (x *exchange) recover() {
	fault := recover()
	if fault == nil {
		return
	}
	stack := debug.Stack()
	if elsewhere, ok := fault.(*routing.Fault); ok {
		fault, stack = elsewhere.Value, elsewhere.Stack
	}
	if fault == http.ErrAbortHandler {
		panic(fault)
	}
	x.account.class = routing.Local
	x.handler.logger.Error("panic while serving a request",
		zap.String("uuid", x.id), zap.String("panic", describePanic(fault)), zap.ByteString("stack", stack))
	if x.committed {
		panic(http.ErrAbortHandler)
	}
	x.fail(&translate.Error{Status: http.StatusInternalServerError, Message: "internal error; the gateway's log has it under this request's id"}, 0)
}

// describePanic is what a log may know of a panic. The runtime's own errors hold
// numbers and types; any other value may hold a key or a prompt.
func describePanic(fault any) string {
	if err, ok := fault.(goruntime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("a value of type %T", fault)
}
