package translate

// ReminderStart and ReminderEnd enclose an instruction that has to be sent within
// what the user says, as the inside of a string. Claude knows the tag as what
// tells it something that is not the user's own words, and others take it for
// what it says.
const (
	ReminderStart = `<system-reminder>\n`
	ReminderEnd   = `\n</system-reminder>`
)
