package outputs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretHidesItselfFromEveryPrinter(t *testing.T) {
	t.Parallel()
	const url = "https://store/x?X-Amz-Signature=abc"
	request := Request{URL: Secret(url)}
	encoded, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "request", request, "url", request.URL)
	printed := map[string]string{
		"json": string(encoded), "slog": log.String(),
		"%v": fmt.Sprintf("%v", request), "%+v": fmt.Sprintf("%+v", request), "%#v": fmt.Sprintf("%#v", request),
		"%s": fmt.Sprintf("%s", request.URL), "%x": fmt.Sprintf("%x", request.URL), "%d": fmt.Sprintf("%d", request.URL),
		"error": fmt.Errorf("put %v", request.URL).Error(),
	}
	for how, text := range printed {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(text, "Signature") || strings.Contains(text, fmt.Sprintf("%x", url)) {
				t.Fatalf("%s shows the URL: %s", how, text)
			}
		})
	}
	if request.URL.Reveal() != url {
		t.Fatal("Reveal must give the URL")
	}
}

func TestCapsKeepWhatIsSetAndDefaultTheRest(t *testing.T) {
	t.Parallel()
	got := Caps{JobFiles: 7}.OrDefault()
	want := Caps{FileBytes: DefaultFileBytes, JobBytes: DefaultJobBytes, JobFiles: 7, EndBytes: DefaultEndBytes}
	if got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	all := Caps{FileBytes: 1, JobBytes: 2, JobFiles: 3, EndBytes: 4}
	if all.OrDefault() != all {
		t.Fatal("a set cap was overwritten")
	}
}
