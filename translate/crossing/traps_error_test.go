package crossing_test

// errorTraps are about statuses and headers, which the translation of bytes does
// not see.
var errorTraps = []trap{
	{number: 96, name: "Retry-After on good answers", elsewhere: []string{"caddymodule.TestLimitsThatABrokenServerTellsDoNotRestTheKey"}},
	{number: 97, name: "five forms of reset times", elsewhere: []string{"routing.TestAnUpstreamIsLeftAloneForAsLongAsItAsks"}},
	{number: 98, name: "0 ms beside a second", elsewhere: []string{"routing.TestAnUpstreamIsLeftAloneForAsLongAsItAsks"}},
	{number: 99, name: "429 that never heals", elsewhere: []string{"routing.TestAnErrorAnswerHasItsClass", "keys.TestKeyFailsForThatModelOnly61"}},
	{number: 100, name: "unknown models are 404 or 400", elsewhere: []string{"routing.TestAnErrorAnswerHasItsClass"}},
	{number: 101, name: "bad keys as 400, model faults as 400", elsewhere: []string{"routing.TestAnErrorAnswerHasItsClass"}},
	{number: 102, name: "conversations that are too long", elsewhere: []string{"translate.TestContextOverflowIsToldInWordsThatAgentsActOn", "caddymodule.TestAConversationThatIsTooLongIsToldInTheWordsThatAgentsKnow"}},
	{number: 103, name: "529, and errors in odd shapes", elsewhere: []string{"translate.TestOverloadIsToldInTheClientsWay", "translate.TestErrorBodiesOfAllVendors"}},
	{number: 104, name: "SDKs that retry by themselves", elsewhere: []string{"caddymodule.TestWhenEverythingRestsTheAnswerComesAtOnceWithRetryAfter", "routing.TestTheClientSeesAStatusThatIsTrueForIt"}},
	{number: 105, name: "headers that are copied", elsewhere: []string{"caddymodule.TestOnlyHeadersOfTheAllowListReachTheClient", "caddymodule.TestHeadersStayWithTheirVendor"}},
}
