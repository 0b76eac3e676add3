package app

import (
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
)

func TestThreat_T10_TheDatabasesClockDecides(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		for _, wrong := range []time.Duration{0, time.Hour, -time.Hour} {
			c := &dbClock{now: func() time.Time { return time.Now().Add(wrong) }, store: st}
			if _, err := c.measure(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := time.Now()
			if st.Dialect() == gormstore.SQLite {
				want = want.Add(wrong) // one machine, one clock
			}
			if diff := c.Now().Sub(want).Abs(); diff > 2*time.Second {
				t.Errorf("a clock that is %v off: still %v off", wrong, diff)
			}
		}
	})
}
