package efficiency

// fit is a least-squares line through equally spaced values.
type fit struct {
	n          int
	slope      float64 // per second
	mean, last float64
	r2         float64
	length     float64 // seconds from the first to the last value
}

// fitLine leaves the first tenth out: programs fill their memory when they start.
func fitLine(values []*float64, step float64) fit {
	var xs, ys []float64
	for i := len(values) / 10; i < len(values); i++ {
		if values[i] != nil {
			xs, ys = append(xs, float64(i)*step), append(ys, *values[i])
		}
	}
	f := fit{n: len(xs)}
	if f.n < 2 {
		return f
	}
	mx, my := mean(xs), mean(ys)
	var sxx, sxy, syy float64
	for i := range xs {
		dx, dy := xs[i]-mx, ys[i]-my
		sxx, sxy, syy = sxx+dx*dx, sxy+dx*dy, syy+dy*dy
	}
	f.mean, f.last, f.length = my, ys[f.n-1], xs[f.n-1]-xs[0]
	if sxx > 0 && syy > 0 {
		f.slope = sxy / sxx
		f.r2 = sxy * sxy / (sxx * syy)
	}
	return f
}

func mean(v []float64) float64 {
	var sum float64
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}
