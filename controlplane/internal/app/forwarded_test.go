package app

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A header that anybody can write must not give anybody a bucket of their own.
func TestThreat_T17_ForgedHeadersShareOneBucket(t *testing.T) {
	const limit = 5
	w := newWorld(t, fmt.Sprint("ERGON_AUTH_LOGIN_PER_MINUTE=", limit))
	passed, refused := 0, 0
	for i := range 4 * limit {
		body := fmt.Sprintf(`{"username":"nobody%d","password":%q}`, i, worldPassword)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.app.URL()+"/auth/login", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		forged := fmt.Sprintf("203.0.113.%d", i+1)
		req.Header.Set("Content-Type", "application/json")
		for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "Cf-Connecting-Ip", "True-Client-Ip"} {
			req.Header.Set(name, forged)
		}
		req.Header.Set("Forwarded", "for="+forged)
		resp, err := caller(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		switch resp.StatusCode {
		case http.StatusUnauthorized:
			passed++
		case http.StatusTooManyRequests:
			refused++
		default:
			t.Errorf("status %d", resp.StatusCode)
		}
	}
	if passed > 2*limit || passed == 0 || refused < 2*limit { // a minute may end in between
		t.Errorf("%d passed and %d were refused at %d a minute", passed, refused, limit)
	}
}
