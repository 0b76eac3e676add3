// Package strictjson refuses JSON that two readers could understand differently.
package strictjson

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// maxDepth bounds nesting; the deepest body of the contract has 5 levels.
const maxDepth = 32

// Check walks a text once and refuses what Go's decoder lets pass: duplicate members (also when they differ only in
// case, because the decoder ignores case), nesting beyond maxDepth, and anything after the value.
func Check(body []byte) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := checkValue(dec, 0); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON value")
	}
	return nil
}

func checkValue(dec *json.Decoder, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	tok, err := dec.Token()
	if err != nil {
		return syntax(err)
	}
	switch tok {
	case json.Delim('{'):
		return checkObject(dec, depth)
	case json.Delim('['):
		return checkArray(dec, depth)
	}
	return nil
}

func checkObject(dec *json.Decoder, depth int) error {
	seen := map[string]struct{}{}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return syntax(err)
		}
		name, ok := tok.(string)
		if !ok {
			return errors.New("a member has no name")
		}
		folded := Fold(name)
		if _, dup := seen[folded]; dup {
			return fmt.Errorf("member %q stands there twice", name)
		}
		seen[folded] = struct{}{}
		if err := checkValue(dec, depth+1); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return syntax(err)
}

func checkArray(dec *json.Decoder, depth int) error {
	for dec.More() {
		if err := checkValue(dec, depth+1); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return syntax(err)
}

// Fold maps names that encoding/json takes for the same: upper and lower case, and the two letters outside ASCII that
// fold into it (U+017F, U+212A).
func Fold(name string) string { return strings.ToLower(strings.ToUpper(name)) }

func syntax(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON value ends too early")
	}
	return errors.New("the body is not valid JSON")
}

// Members lists the names of the JSON object in a base64url text, such as the header of a JWS. The object passed Check.
func Members(b64 string) ([]string, error) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(b64)
	if err != nil {
		return nil, errors.New("not base64url")
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, errors.New("not a JSON object")
	}
	return slices.Sorted(maps.Keys(object)), nil
}
