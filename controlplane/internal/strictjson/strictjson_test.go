package strictjson

import (
	"strings"
	"testing"
)

func TestNestingIsBoundedInObjectsAndArrays(t *testing.T) {
	for name, pair := range map[string][2]string{"arrays": {"[", "]"}, "objects": {`{"a":`, "}"}, "both": {`[{"a":`, "}]"}} {
		levels := strings.Count(pair[0], "[") + strings.Count(pair[0], "{")
		nested := func(depth int) []byte {
			n := depth / levels
			return []byte(strings.Repeat(pair[0], n) + "1" + strings.Repeat(pair[1], n))
		}
		if err := Check(nested(maxDepth)); err != nil {
			t.Errorf("%s, %d levels: %v", name, maxDepth, err)
		}
		if err := Check(nested(maxDepth + levels)); err == nil || !strings.Contains(err.Error(), "deeper") {
			t.Errorf("%s, %d levels: %v", name, maxDepth+levels, err)
		}
	}
}
