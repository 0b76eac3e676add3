package efficiency

import (
	"fmt"
	"strconv"
)

// Everyday compares an energy in joules with something that people know. The
// yardsticks: a full phone battery 15 Wh (54 kJ), a litre of water from 20 °C to the
// boil 0.1 kWh (4186 J/kg·K × 80 K, rounded up for losses), an electric car 18 kWh
// per 100 km, a household of two in Germany 3000 kWh a year.
func Everyday(joules float64) string {
	const kWh = JoulePerKWh
	switch {
	case joules <= 0 || finite(joules) == nil:
		return ""
	case joules < 0.1*kWh:
		return fmt.Sprintf("%s Wh: about %s", short(joules/3600), phones(joules/54e3))
	case joules < 2*kWh:
		return fmt.Sprintf("%s kWh: enough to boil %s litres of water", short(joules/kWh), short(joules/(0.1*kWh)))
	case joules < 3000*kWh:
		return fmt.Sprintf("%s kWh: as far as %s km in an electric car", short(joules/kWh), short(joules/(0.18*kWh)))
	default:
		return fmt.Sprintf("%s kWh: what a household of two uses in %s years", short(joules/kWh), short(joules/(3000*kWh)))
	}
}

func phones(n float64) string {
	if n < 1 {
		return short(100*n) + " % of a phone charge"
	}
	return short(n) + " phone charges"
}

// short prints two significant digits, or the whole number.
func short(v float64) string {
	if v >= 10 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}
