package jobs

import "time"

// summed says that an incarnation ended in a time of which only sums are kept, and is not one that is stored: it may stand in
// the sums, and would count twice.
func (b *Book) summed(u *bundle) bool {
	if !b.endedInSums(u.facts.EndSeen) {
		return false
	}
	for _, e := range b.byRaw[u.ident.raw] {
		if e.run(u.facts) != nil {
			return false
		}
	}
	return true
}

func (b *Book) endedInSums(end *int64) bool {
	if end == nil {
		return false
	}
	y, m, _ := time.Unix(*end, 0).UTC().Date()
	until, ok := b.Summed[time.Date(y, m, 1, 0, 0, 0, 0, time.UTC).Unix()]
	return ok && *end <= until
}
