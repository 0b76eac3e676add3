package identity

import (
	"encoding/hex"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The reference implementation's own vectors for argon2id, version 0x13 (phc-winner-argon2, src/test.c). RFC 9106's vector in
// section 5.3 uses a secret and associated data, which golang.org/x/crypto keeps to itself and checks in its own tests.
func TestArgon2idGivesTheReferenceVectors(t *testing.T) {
	cases := []struct {
		m, time uint32
		pwd     string
		salt    string
		want    string
	}{
		{65536, 2, "password", "somesalt", "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"},
		{256, 2, "password", "somesalt", "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe"},
		{65536, 1, "password", "somesalt", "f6a5adc1ba723dddef9b5ac1d464e180fcd9dffc9d1cbf76cca2fed795d9ca98"},
		{65536, 2, "differentpassword", "somesalt", "0b84d652cf6b0c4beaef0dfe278ba6a80df6696281d7e0d2891b817d8c458fde"},
		{65536, 2, "password", "diffsalt", "bdf32b05ccc42eb15d58fd19b1f856b113da1e9a5874fdcc544308565aa8141c"},
	}
	for _, c := range cases {
		got := hex.EncodeToString(derive(c.pwd, Params{MemoryKiB: c.m, Time: c.time, Threads: 1}, []byte(c.salt), 32))
		if got != c.want {
			t.Errorf("m=%d t=%d %s/%s: %s", c.m, c.time, c.pwd, c.salt, got)
		}
	}
	p, err := parsePHC("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	if err != nil || !p.matches("password") || p.matches("passwore") {
		t.Errorf("the reference's encoded hash: %v", err)
	}
}

func TestForgedHashesAskForNothingExpensive(t *testing.T) {
	salt, key := "c29tZXNhbHQ", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	bad := map[string]string{
		"memory over the cap": "$argon2id$v=19$m=262145,t=2,p=1$" + salt + "$" + key,
		"time over the cap":   "$argon2id$v=19$m=64,t=11,p=1$" + salt + "$" + key,
		"no time":             "$argon2id$v=19$m=64,t=0,p=1$" + salt + "$" + key,
		"threads":             "$argon2id$v=19$m=64,t=1,p=5$" + salt + "$" + key,
		"no threads":          "$argon2id$v=19$m=64,t=1,p=0$" + salt + "$" + key,
		"overflow":            "$argon2id$v=19$m=4294967296,t=1,p=1$" + salt + "$" + key,
		"leading zero":        "$argon2id$v=19$m=064,t=1,p=1$" + salt + "$" + key,
		"sign":                "$argon2id$v=19$m=+64,t=1,p=1$" + salt + "$" + key,
		"other order":         "$argon2id$v=19$t=1,m=64,p=1$" + salt + "$" + key,
		"argon2i":             "$argon2i$v=19$m=64,t=1,p=1$" + salt + "$" + key,
		"old version":         "$argon2id$v=16$m=64,t=1,p=1$" + salt + "$" + key,
		"short key":           "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$AAAA",
		"padding":             "$argon2id$v=19$m=64,t=1,p=1$" + salt + "=$" + key,
		"loose last bits":     "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + key[:len(key)-1] + "d",
		"huge":                "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + strings.Repeat("A", 4000),
		"empty":               "",
		"bcrypt":              "$2a$10$abcdefghijklmnopqrstuv",
	}
	for name, text := range bad {
		if _, err := parsePHC(text); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestPHCReadsWhatItWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		threads := rapid.Uint8Range(1, maxThreads).Draw(t, "threads")
		p := phc{
			params: Params{
				MemoryKiB: rapid.Uint32Range(8*uint32(threads), maxMemoryKiB).Draw(t, "m"), Time: rapid.Uint32Range(1, maxTime).Draw(t, "t"), Threads: threads,
			},
			salt: rapid.SliceOfN(rapid.Byte(), 8, 64).Draw(t, "salt"),
			key:  rapid.SliceOfN(rapid.Byte(), 16, 64).Draw(t, "key"),
		}
		got, err := parsePHC(p.String())
		if err != nil || got.String() != p.String() {
			t.Fatalf("%s: %v", p, err)
		}
	})
}

func FuzzParsePHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$v=19$m=,t=,p=$$")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePHC(text)
		if err == nil && (p.String() != text || p.params.MemoryKiB > maxMemoryKiB || p.params.Time > maxTime) {
			t.Errorf("%q was read as %q", text, p)
		}
	})
}
