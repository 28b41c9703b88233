package strictjson

import (
	"fmt"
	"strconv"
)

// maxNumber is the longest number literal in bytes that Parse accepts. Longer
// ones carry no precision any reader keeps, but cost some readers quadratic
// time.
const maxNumber = 1000

// number scans the number whose sign or first digit is at i.
func (s *scanner) number(i int) (int, *Error) {
	doc, start, exponent := s.doc, i, 0
	if doc[i] == '-' {
		i++
	}
	if i < len(doc) && doc[i] == '0' {
		if i++; i < len(doc) && isDigit(doc[i]) {
			return 0, &Error{Offset: i - 1, Reason: "number with a leading zero"}
		}
	} else {
		var err *Error
		if i, err = s.digits(i); err != nil {
			return 0, err
		}
	}
	if i < len(doc) && doc[i] == '.' {
		var err *Error
		if i, err = s.digits(i + 1); err != nil {
			return 0, err
		}
	}
	if i < len(doc) && doc[i]|0x20 == 'e' {
		if i++; i < len(doc) && (doc[i] == '+' || doc[i] == '-') {
			i++
		}
		end, err := s.digits(i)
		if err != nil {
			return 0, err
		}
		i, exponent = end, end-i
	}
	if s.strict {
		return i, s.checkRange(start, i, exponent)
	}
	return i, nil
}

// digits scans one or more digits.
func (s *scanner) digits(i int) (int, *Error) {
	if i >= len(s.doc) || !isDigit(s.doc[i]) {
		return 0, s.unexpected(i, "expected a digit")
	}
	for i < len(s.doc) && isDigit(s.doc[i]) {
		i++
	}
	return i, nil
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// checkRange refuses the number literal from start to end when it is too long
// or overflows a float64. exponent is the count of its exponent's digits.
func (s *scanner) checkRange(start, end, exponent int) *Error {
	// Less than 1e200 times 1e99 at most: no need to compute it.
	if end-start <= 200 && exponent <= 2 {
		return nil
	}
	if end-start > maxNumber {
		return &Error{Offset: start, Reason: fmt.Sprintf("number longer than %d bytes", maxNumber)}
	}
	if _, err := strconv.ParseFloat(string(s.doc[start:end]), 64); err != nil {
		return &Error{Offset: start, Reason: "number out of range"}
	}
	return nil
}
