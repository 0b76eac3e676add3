package tariff

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// Kind is what a tariff says about energy.
type Kind string

// The kinds: money per MWh, and gram of CO2 equivalent per kWh.
const (
	Price  Kind = "price"
	Carbon Kind = "carbon"
)

// Gram is the unit of carbon tariffs.
const Gram = "gram"

// Key names a tariff. Zone "" is everywhere; a zone with the name of a cluster is that cluster's own.
type Key struct {
	Kind Kind
	Zone string
}

// Head is a tariff without its intervals.
type Head struct {
	Key
	Unit     string
	Constant *float64 // holds where no interval does
	Version  int64    // grows with every change
	Updated  time.Time
}

// Series is a tariff. Intervals are in order and do not overlap.
type Series struct {
	Head
	Intervals []efficiency.Interval
}

// Store is the system of record as this package needs it.
type Store interface {
	// Heads lists all tariffs.
	Heads(ctx context.Context) ([]Head, error)
	// Intervals reads those of one tariff, in order.
	Intervals(ctx context.Context, key Key) ([]efficiency.Interval, error)
	// Update changes a tariff in one transaction: change gets what is stored (Version 0: nothing yet) and returns what
	// shall be; where it returns false nothing is written. Updates of one tariff follow one another.
	Update(ctx context.Context, key Key, now time.Time, change func(Series) (Series, bool, error)) error
}

// MaxValue bounds what is believed: a price or an intensity beyond is a mistake of units.
const MaxValue = 1e6

var currency = regexp.MustCompile(`^[A-Z]{3}$`)

// CheckUnit refuses what is no unit of the kind.
func CheckUnit(kind Kind, unit string) error {
	switch {
	case kind == Carbon && unit != Gram:
		return apperr.Newf(apperr.InvalidRequest, "carbon intensity is in gram per kWh")
	case kind == Price && !currency.MatchString(unit):
		return apperr.Newf(apperr.InvalidRequest, "%q is no currency", unit).WithHint("give its three letters, for instance --currency EUR")
	}
	return nil
}

// CheckValue refuses what can be no price and no intensity. Prices may be negative.
func CheckValue(kind Kind, v float64) error {
	switch {
	case math.IsNaN(v) || math.Abs(v) > MaxValue:
		return fmt.Errorf("%v is out of range (at most %g)", v, float64(MaxValue))
	case kind == Carbon && v < 0:
		return fmt.Errorf("%v: a carbon intensity is not negative", v)
	}
	return nil
}
