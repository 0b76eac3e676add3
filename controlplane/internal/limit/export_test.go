package limit

// Len is how many buckets there are.
func (b *Buckets) Len() int { return len(b.buckets) }
