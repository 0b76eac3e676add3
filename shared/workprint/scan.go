package workprint

import (
	"math"
	"strconv"
)

// at looks at position i of a line. n is the length of a number or of a hash that begins there, 0 when there is none; alone
// says that the number is one by itself.
func at(line string, i int) (n int, value float64, alone bool) {
	if n := hashAt(line, i); n > 0 {
		return n, 0, false
	}
	n = numberAt(line, i)
	if n == 0 || !begins(line, i) || !ends(line, i+n) {
		return n, 0, false
	}
	value, err := strconv.ParseFloat(line[i:i+n], 64)
	return n, value, err == nil && !math.IsInf(value, 0)
}

// numberAt is the length of digits with a fraction and an exponent, or of a fraction alone (.5).
func numberAt(line string, i int) int {
	end := digits(line, i)
	if end == i && !pointAt(line, i) {
		return 0
	}
	if end < len(line) && line[end] == '.' {
		if after := digits(line, end+1); after > end+1 {
			end = after
		}
	}
	if end < len(line) && (line[end] == 'e' || line[end] == 'E') {
		from := end + 1
		if from < len(line) && (line[from] == '-' || line[from] == '+') {
			from++
		}
		if after := digits(line, from); after > from {
			end = after
		}
	}
	return end - i
}

// pointAt says that a fraction without digits before its point begins at i: not x.5, and not the end of 1..5.
func pointAt(line string, i int) bool {
	return line[i] == '.' && digits(line, i+1) > i+1 && (i == 0 || line[i-1] != '.' && !isWord(line[i-1]))
}

func digits(line string, i int) int {
	for i < len(line) && isDigit(line[i]) {
		i++
	}
	return i
}

// shortestHash is the least length of a run of hexadecimal digits, letters among them, that is taken for a hash or an id.
const shortestHash = 8

// hashAt is the length of a hash that is a word by itself.
func hashAt(line string, i int) int {
	if i > 0 && isWord(line[i-1]) {
		return 0
	}
	end, some, letters := i, false, false
	for end < len(line) && isWord(line[end]) {
		c := line[end]
		switch {
		case isDigit(c):
			some = true
		case c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
			letters = true
		default:
			return 0
		}
		end++
	}
	if end-i < shortestHash || !some || !letters {
		return 0
	}
	if n := numberAt(line, i); n >= end-i {
		return 0 // 12345678e9
	}
	return end - i
}

// begins says that a number at i is no part of a word: nothing of a word stands before it, but for the letter of an option (-n10).
// Digits behind -p may be a password.
func begins(line string, i int) bool {
	if i == 0 || !isWord(line[i-1]) {
		return i < 2 || line[i-1] != '.' || !isWord(line[i-2]) // a part of 1.2.3, or x.7
	}
	return isLetter(line[i-1]) && line[i-1] != 'p' && i >= 2 && line[i-2] == '-' && (i == 2 || line[i-3] == ' ')
}

// ends says that nothing of a word stands behind a number, but for one letter of a unit (10G).
func ends(line string, i int) bool {
	if i < len(line) && isLetter(line[i]) {
		i++
	}
	return i >= len(line) || !isWord(line[i])
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isWord(c byte) bool   { return isDigit(c) || isLetter(c) || c == '_' || c >= 0x80 }
